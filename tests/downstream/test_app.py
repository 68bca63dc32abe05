"""The proxy port over real HTTP, with a pipeline that only notes what it was asked."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from llmproxyd.config.schema import Config, ServerConfig
from llmproxyd.downstream.app import Proxied, ProxyApp
from llmproxyd.errors import Draining

JSON = {"Content-Type": "application/json"}


class NotingPipeline:
    def __init__(self) -> None:
        self.asked = []

    async def messages(self, request, snapshot, record, sink):
        self.asked.append((request, record))
        if request.model == "crash":
            raise ZeroDivisionError
        if request.model != "mute":
            await sink.reply(
                200,
                [("content-type", "application/json"), ("request-id", record.request_id)],
                b'{"ok":true}',
            )

    async def count_tokens(self, request, snapshot, record):
        self.asked.append((request, record))
        return (
            200,
            [("content-type", "application/json"), ("request-id", record.request_id)],
            b'{"input_tokens":1}',
        )


class NotingLog:
    def __init__(self) -> None:
        self.crashes = []
        self.refusals = []

    def info(self, event, **fields):
        self.refusals.append((event, fields))

    def exception(self, event, **fields):
        self.crashes.append(event)


class Door:
    """Admits until it is told not to."""

    is_open = True

    @contextmanager
    def admit(self, request_id, path):
        if not self.is_open:
            raise Draining("shutting down", retry_after_s=1)
        yield


class FixedModels:
    async def page(self, snapshot, headers, query):
        return b'{"data":[]}'

    async def find(self, snapshot, headers, model_id):
        return b'{"id":"%b"}' % model_id.encode()


@pytest.fixture
async def port(aiohttp_raw_server):
    config = Config(server=ServerConfig(max_body_bytes=10_000))
    parts = Proxied(
        pipeline=NotingPipeline(),
        store=SimpleNamespace(current=SimpleNamespace(config=config)),
        admission=Door(),
        models=FixedModels(),
        health=lambda: {"status": "ok"},
        entropy=lambda count: "r" * count,
        clock=lambda: 1.0,
        unix_time=lambda: 1_700_000_000.5,
        log=NotingLog(),
    )
    server = await aiohttp_raw_server(ProxyApp(parts).handle)
    return SimpleNamespace(parts=parts, url=f"http://localhost:{server.port}")


async def assert_error(response, status: int, kind: str) -> str:
    """The Anthropic envelope, with one id in header and body; the message."""
    body = await response.json()
    assert (response.status, body["error"]["type"]) == (status, kind)
    assert body["type"] == "error"
    assert body["request_id"] == response.headers["request-id"]
    return body["error"]["message"]


async def test_messages_are_matched_by_path_whatever_the_query(port, http):
    url = f"{port.url}/v1/messages?beta=true&x=1"
    headers = JSON | {"X-Claude-Code-Session-Id": "s-1"}
    async with http.post(url, data=b'{"model":"m","stream":true}', headers=headers) as response:
        assert await response.json() == {"ok": True}
        assert response.headers["request-id"] == "req_" + "r" * 24
    request, record = port.parts.pipeline.asked[0]
    assert (request.query, request.stream) == ("beta=true&x=1", True)
    assert (record.session, record.path) == ("s-1", "/v1/messages")


async def test_tokens_are_counted(port, http):
    url = f"{port.url}/v1/messages/count_tokens?beta=true"
    async with http.post(url, data=b'{"model":"m"}', headers=JSON) as response:
        assert await response.json() == {"input_tokens": 1}


@pytest.mark.parametrize("path", ["/", "/api/hello", "/health", "/v1/models?limit=1000"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_small_routes_answer_get_and_head(port, http, path, method):
    async with http.request(method, port.url + path) as response:
        assert response.status == 200
        assert "request-id" in response.headers


async def test_model_ids_may_hold_slashes_and_colons(port, http):
    async with http.get(f"{port.url}/v1/models/qwen%2Fq3:8b") as response:
        assert await response.json() == {"id": "qwen/q3:8b"}
    async with http.get(f"{port.url}/v1/models/qwen/q3:8b") as response:
        assert await response.json() == {"id": "qwen/q3:8b"}


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nope", 404, "not_found_error"),
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("DELETE", "/v1/models", 405, "invalid_request_error"),
        ("PUT", "/v1/models/x", 405, "invalid_request_error"),
    ],
)
async def test_unknown_paths_and_methods_have_the_envelope(port, http, method, path, status, kind):
    async with http.request(method, port.url + path, headers=JSON) as response:
        await assert_error(response, status, kind)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":1}', b"{}", b"\xff", b"[" * 90_00])
async def test_malformed_bodies_are_400(port, http, body):
    async with http.post(f"{port.url}/v1/messages", data=body, headers=JSON) as response:
        await assert_error(response, 400, "invalid_request_error")
    assert port.parts.pipeline.asked == []


async def test_too_large_bodies_are_413(port, http):
    url = f"{port.url}/v1/messages"
    async with http.post(url, data=b"x" * 10_001, headers=JSON) as response:
        await assert_error(response, 413, "request_too_large")


async def test_web_pages_are_403(port, http):
    async with http.get(port.url, headers={"Origin": "https://evil.example"}) as response:
        await assert_error(response, 403, "permission_error")


async def test_refused_request_leaves_a_line_in_the_log(port, http):
    async with http.post(f"{port.url}/v1/messages?a=b", data=b"{bad", headers=JSON) as response:
        request_id = response.headers["request-id"]
    ((event, fields),) = port.parts.log.refusals
    assert event == "request_refused"
    assert fields.pop("error").startswith("the request body is not valid JSON")
    assert fields == {
        "request_id": request_id,
        "method": "POST",
        "path": "/v1/messages",
        "status": 400,
    }


async def test_nothing_new_is_admitted_while_draining(port, http):
    port.parts.admission.is_open = False
    url = f"{port.url}/v1/messages"
    async with http.post(url, data=b'{"model":"m"}', headers=JSON) as response:
        await assert_error(response, 529, "overloaded_error")
        assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("model", [b"crash", b"mute"])
async def test_bug_is_a_500_without_details_and_a_line_in_the_log(port, http, model):
    url = f"{port.url}/v1/messages"
    async with http.post(url, data=b'{"model":"%b"}' % model, headers=JSON) as response:
        message = await assert_error(response, 500, "api_error")
    assert "ZeroDivision" not in message
    assert port.parts.log.crashes == ["request_crashed"]


async def test_client_that_left_is_not_answered(port):
    class Gone:
        method, headers, raw_path = "GET", {"Host": "localhost"}, "/health"

    def leave():
        raise ConnectionResetError

    app = ProxyApp(_with(port.parts, health=leave))
    with pytest.raises(ConnectionResetError):
        await app.handle(Gone())


def _with(parts, **changes):
    fields = {name: getattr(parts, name) for name in parts.__struct_fields__} | changes
    return Proxied(**fields)
