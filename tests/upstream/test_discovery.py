"""Asking backends for their models."""

from __future__ import annotations

import pytest
from aiohttp import web

from llmproxyd.spi import Backend, BackendEntry, DiscoveredModel, Limits, Secret
from llmproxyd.upstream.client import UpstreamClient
from llmproxyd.upstream.discovery import ModelDiscovery, client_credentials, needs_client

ASKED = web.AppKey("asked", list)
OWN_KEY = Backend(kind="own", dialects=(), placeholder_key="dummy")
CLIENT_KEY = Backend(kind="client", dialects=(), takes_client_key=True)


def entry(url: str, backend: Backend = OWN_KEY, **fields) -> BackendEntry:
    return BackendEntry(name="b", backend=backend, url=url, dialect=None, **fields)


@pytest.fixture
async def discovery():
    client = UpstreamClient({})
    yield ModelDiscovery(client)
    await client.close()


@pytest.fixture
def serve(aiohttp_server):
    async def start(body: bytes, status: int = 200):
        app = web.Application()
        app[ASKED] = []

        async def models(request: web.Request) -> web.Response:
            app[ASKED].append((request.path_qs, request.headers.get("Authorization")))
            return web.Response(body=body, status=status)

        app.router.add_get("/v1/models", models)
        server = await aiohttp_server(app)
        return server, f"http://127.0.0.1:{server.port}"

    return start


ANTHROPIC = b'{"data":[{"type":"model","id":"claude-x","display_name":"X","max_tokens":5}]}'
VLLM = b'{"data":[{"id":"q","max_model_len":4096},{"id":""},"odd"]}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            ANTHROPIC,
            (DiscoveredModel(id="claude-x", display_name="X", limits=Limits(max_output=5)),),
        ),
        (VLLM, (DiscoveredModel(id="q", limits=Limits(context_window=4096)),)),
    ],
)
async def test_models_and_their_limits_are_read_from_either_shape(discovery, serve, body, expected):
    server, url = await serve(body)
    await discovery.refresh([entry(url, secret=Secret("key-1"))])
    assert discovery.known["b"] == expected
    assert server.app[ASKED] == [("/v1/models?limit=1000", "Bearer key-1")]


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'{"data":7}', b'{"data":[]}', b"", b'{"data":"\xff"}', b"[" * 100_000],
    ids=lambda body: body[:20],
)
async def test_odd_answer_leaves_the_list_as_it_was(discovery, serve, body):
    _, url = await serve(VLLM)
    await discovery.refresh([entry(url)])
    before = dict(discovery.known)
    _, odd = await serve(body)
    await discovery.refresh([entry(odd)])
    assert discovery.known == before


async def test_backend_that_is_down_or_refuses_is_quiet(discovery, serve, unused_tcp_port):
    _, refusing = await serve(ANTHROPIC, 401)
    await discovery.refresh([entry(refusing), entry(f"http://127.0.0.1:{unused_tcp_port}")])
    assert discovery.known == {}


async def test_backend_that_wants_the_clients_key_is_not_asked_ahead(discovery, serve):
    server, url = await serve(ANTHROPIC)
    client_entry = entry(url, CLIENT_KEY)
    assert needs_client(client_entry)
    await discovery.refresh([client_entry])
    assert server.app[ASKED] == []
    headers = client_credentials((("Authorization", "Bearer c"), ("Cookie", "no")))
    assert headers == (("Authorization", "Bearer c"),)
    await discovery.ask(client_entry, headers)
    assert server.app[ASKED] == [("/v1/models?limit=1000", "Bearer c")]


async def test_backend_without_any_key_is_asked_without_one(discovery, serve):
    server, url = await serve(VLLM)
    await discovery.refresh([entry(url, Backend(kind="open", dialects=()))])
    assert server.app[ASKED] == [("/v1/models?limit=1000", None)]
