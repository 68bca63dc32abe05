"""Detection of what a self-hosted server speaks, against servers of each shape."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from aiohttp import web

from llmproxyd.errors import UpstreamError
from llmproxyd.spi import Backend, BackendEntry, Secret
from llmproxyd.upstream.client import UpstreamClient
from llmproxyd.upstream.probe import ProtocolProbe, detect_quietly

OPENAI = SimpleNamespace(name="openai")
ANTHROPIC = SimpleNamespace(name="anthropic")
ASKED = web.AppKey("asked", list)
KEY = web.AppKey("key", dict)
BACKEND = Backend(kind="self-hosted", dialects=(OPENAI, ANTHROPIC), placeholder_key="dummy")


def entry(url: str, **fields) -> BackendEntry:
    return BackendEntry(
        **{"name": "mine", "backend": BACKEND, "url": url, "dialect": None} | fields
    )


@pytest.fixture
async def probe():
    client = UpstreamClient({})
    yield ProtocolProbe(client)
    await client.close()


@pytest.fixture
def serve(aiohttp_server):
    """Start a server with a model list and the named POST endpoints; logs what was asked."""

    async def start(*endpoints: str, models: object = None, models_status: int = 200):
        app = web.Application()
        app[ASKED] = []
        app[KEY] = {}

        async def refuse(request: web.Request) -> web.Response:
            app[ASKED].append((request.method, request.path))
            return web.json_response({"error": "messages is required"}, status=400)

        async def list_models(request: web.Request) -> web.Response:
            app[ASKED].append((request.method, request.path))
            app[KEY]["authorization"] = request.headers.get("Authorization")
            return web.json_response(models, status=models_status)

        if models is not None:
            app.router.add_get("/v1/models", list_models)
        for path in endpoints:
            app.router.add_post(path, refuse)
        server = await aiohttp_server(app)
        server.url = f"http://127.0.0.1:{server.port}"
        return server

    return start


OPENAI_LIST = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "me"}]}
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


@pytest.mark.parametrize(
    ("endpoints", "models", "expected"),
    [
        ((CHAT,), OPENAI_LIST, OPENAI),
        ((CHAT, MESSAGES), OPENAI_LIST, OPENAI),
        ((MESSAGES,), OPENAI_LIST, ANTHROPIC),
        ((MESSAGES,), {"data": [{"type": "model", "id": "m"}], "has_more": False}, ANTHROPIC),
        ((), {"data": [{"id": "m", "owned_by": "vllm"}]}, OPENAI),
        ((CHAT,), None, OPENAI),
        ((MESSAGES,), None, ANTHROPIC),
        ((MESSAGES,), {"data": []}, ANTHROPIC),
        ((MESSAGES,), ["odd"], ANTHROPIC),
    ],
)
async def test_dialect_is_found(probe, serve, endpoints, models, expected):
    server = await serve(*endpoints, models=models)
    assert await probe.dialect_of(entry(server.url)) is expected


@pytest.mark.parametrize("body", [b'{"data":"\xff"}', b"[" * 100_000], ids=["bytes", "depth"])
async def test_list_that_can_not_be_read_says_nothing(probe, aiohttp_server, body):
    async def list_models(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=400)

    app = web.Application()
    app.router.add_get("/v1/models", list_models)
    app.router.add_post(CHAT, refuse)
    server = await aiohttp_server(app)
    assert await probe.dialect_of(entry(f"http://127.0.0.1:{server.port}")) is OPENAI


async def test_versioned_url_is_probed_at_the_same_endpoints(probe, serve):
    server = await serve(CHAT)
    assert await probe.dialect_of(entry(server.url + "/v1")) is OPENAI


async def test_detection_happens_once_per_url_however_many_wait(probe, serve):
    server = await serve(CHAT)
    await asyncio.gather(*[probe.dialect_of(entry(server.url)) for _ in range(5)])
    await probe.dialect_of(entry(server.url, name="another"))
    assert server.app[ASKED] == []  # 405 to a GET told it
    assert probe.known(entry(server.url)) is OPENAI


async def test_server_that_hides_its_endpoints_from_get_is_asked_with_an_empty_body(
    probe, aiohttp_server
):
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.method, request.path, await request.text()))
        is_there = (request.method, request.path) == ("POST", MESSAGES)
        return web.Response(status=400 if is_there else 404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = await aiohttp_server(app)
    assert await probe.dialect_of(entry(f"http://127.0.0.1:{server.port}")) is ANTHROPIC
    assert asked[-2:] == [("POST", CHAT, "{}"), ("POST", MESSAGES, "{}")]


async def test_configured_dialect_is_never_probed(probe):
    assert await probe.dialect_of(entry("http://127.0.0.1:9", dialect=ANTHROPIC)) is ANTHROPIC


async def test_key_is_sent_with_the_question(probe, serve):
    server = await serve(models={"data": [{"id": "m", "owned_by": "vllm"}]})
    await probe.dialect_of(entry(server.url, secret=Secret("k-123456")))
    assert server.app[KEY] == {"authorization": "Bearer k-123456"}


async def test_server_that_speaks_neither_is_an_error_with_the_fix(probe, serve):
    server = await serve()
    with pytest.raises(UpstreamError) as caught:
        await probe.dialect_of(entry(server.url))
    assert "set protocol of backend mine" in caught.value.message


async def test_server_that_was_down_is_asked_again(probe, serve, unused_tcp_port):
    with pytest.raises(UpstreamError):
        await probe.dialect_of(entry(f"http://127.0.0.1:{unused_tcp_port}"))
    await detect_quietly(probe, entry(f"http://127.0.0.1:{unused_tcp_port}"))
    assert probe.known(entry(f"http://127.0.0.1:{unused_tcp_port}")) is None
    server = await serve(CHAT)
    await detect_quietly(probe, entry(server.url))
    assert probe.known(entry(server.url)) is OPENAI
