"""Fetching linked images, and everything that must not be reached with it."""

from __future__ import annotations

import asyncio
import base64

import pytest
from aiohttp import web

from llmproxyd.upstream.images import MAX_IMAGE_BYTES, ImageFetcher, is_public

PNG = b"\x89PNG\r\n\x1a\nrest"


@pytest.fixture
async def site(aiohttp_server):
    """A web site on loopback, and how often it was asked."""
    hits: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        hits.append(request.path)
        match request.path:
            case "/a.png":
                return web.Response(body=PNG, content_type="image/png")
            case "/big.png":
                return web.Response(body=b"x" * (MAX_IMAGE_BYTES + 1), content_type="image/png")
            case "/page":
                return web.Response(text="<html>", content_type="text/html")
            case "/moved":
                return web.Response(status=302, headers={"Location": "/a.png"})
            case _:
                return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{name}", serve)
    server = await aiohttp_server(app)
    return f"http://127.0.0.1:{server.port}", hits


@pytest.fixture
async def local():
    fetcher = ImageFetcher(allow_private=True)
    yield fetcher
    await fetcher.close()


@pytest.fixture
async def fetcher():
    fetcher = ImageFetcher()
    yield fetcher
    await fetcher.close()


async def test_image_becomes_a_data_uri_and_is_asked_for_once(site, local):
    url, hits = site
    found = await local.fetch([f"{url}/a.png", f"{url}/a.png"])
    expected = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert found == {f"{url}/a.png": expected}
    assert hits == ["/a.png"]


@pytest.mark.parametrize("path", ["/big.png", "/page", "/moved", "/none"])
async def test_what_is_no_image_is_none(site, local, path):
    url, _ = site
    assert await local.fetch([url + path]) == {url + path: None}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a.png",
        "http://[::1]:1/a.png",
        "http://[::ffff:127.0.0.1]:1/a.png",
        "http://10.0.0.1/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://0.0.0.0:1/a.png",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "http://",
        "http://[bad/a.png",
        "not a url",
    ],
)
async def test_private_places_and_other_schemes_are_refused(fetcher, url):
    assert await fetcher.fetch([url]) == {url: None}


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433"])
async def test_name_that_resolves_to_this_machine_is_never_asked(site, fetcher, host):
    url, hits = site
    port = url.rpartition(":")[2]
    assert await fetcher.fetch([f"http://{host}:{port}/a.png"]) == {
        f"http://{host}:{port}/a.png": None
    }
    assert hits == []


async def test_dead_host_is_none(local, unused_tcp_port):
    url = f"http://127.0.0.1:{unused_tcp_port}/a.png"
    async with asyncio.timeout(20):
        assert await local.fetch([url]) == {url: None}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        ("224.0.0.1", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address, expected):
    assert is_public(address) is expected
