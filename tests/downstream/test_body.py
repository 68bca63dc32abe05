"""Reading a request body through a real aiohttp server."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from llmproxyd.downstream.body import read_body
from llmproxyd.errors import DownstreamError

LIMIT = 100_000


@pytest.fixture
async def url(aiohttp_raw_server):
    async def handle(request: web.BaseRequest) -> web.Response:
        try:
            body = await read_body(request, LIMIT)
        except DownstreamError as error:
            return web.Response(status=error.status, text=error.message)
        return web.Response(text=str(len(body)))

    server = await aiohttp_raw_server(handle)
    return str(server.make_url("/"))


async def chunks(total: int):
    while total > 0:
        yield b"x" * min(total, 7_000)
        total -= 7_000


@pytest.mark.parametrize("size", [0, 1, LIMIT])
async def test_body_up_to_the_limit_is_read_whole(url, http, size):
    async with http.post(url, data=b"x" * size) as response:
        assert await response.text() == str(size)


async def test_chunked_body_is_read_whole(url, http):
    async with http.post(url, data=chunks(50_000)) as response:
        assert await response.text() == "50000"


@pytest.mark.parametrize("make", [lambda: b"x" * (LIMIT + 1), lambda: chunks(LIMIT + 7_001)])
async def test_larger_body_is_413_and_names_the_setting(url, http, make):
    async with http.post(url, data=make()) as response:
        assert response.status == 413
        assert "max_body" in await response.text()


async def test_body_that_is_not_compressed_as_it_says_is_400(url, http):
    headers = {"Content-Encoding": "gzip"}
    async with http.post(url, data=b"not gzip", headers=headers) as response:
        assert response.status == 400
        assert "not encoded" in await response.text()


async def test_client_that_waits_for_continue_is_told_to_go_on(url):
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()
