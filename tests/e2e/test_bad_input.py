"""Whatever comes in, from either side: a clear Anthropic error, the daemon alive, nothing leaked."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.conftest import Launch, Proxied
from tests.fakes.answers import Answer, RawAnswer
from tests.fakes.anthropic_stub import AnthropicStub
from tests.fakes.raw import HALF_A_FRAME, NOT_HTTP, RawServer
from tests.real.claude_cli import API_KEY
from tests.real.daemon import BACKEND_KEY, Daemon, toml

MIB = 1024 * 1024
USER: dict[str, Any] = {"role": "user", "content": "hi"}
GOOD: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_tokens": 100, "messages": [USER]}
PROTOCOLS = {"anthropic": "anthropic", "openai": "openai-compatible"}


async def post(url: str, body: Any, **headers: str) -> tuple[aiohttp.ClientResponse, Any]:
    """The answer and its JSON body for a request as a client of this machine sends it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json", "x-api-key": API_KEY, **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/messages?beta=true", data=io.BytesIO(raw), headers=sent) as answer,
    ):
        return answer, json.loads(await answer.read())


def assert_envelope(answer: aiohttp.ClientResponse, body: Any, status: int, kind: str) -> str:
    """The error envelope, with one id in header and body; gives the message."""
    assert (status, kind) == (answer.status, body["error"]["type"]), body
    assert "error" == body["type"]
    assert body["request_id"]
    assert answer.headers["request-id"] == body["request_id"]
    assert BACKEND_KEY not in json.dumps(body)
    message: str = body["error"]["message"]
    assert message
    assert "Traceback" not in message
    return message


async def assert_alive(daemon: Daemon) -> None:
    """The daemon answers and has nothing left in flight."""
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.url}/health") as answer:
        assert 200 == answer.status
    code, out, err = await daemon.ctl("status", "--json")
    assert 0 == code, err
    assert 0 == json.loads(out)["in_flight"]
    assert [] == daemon.events("request_crashed")


MALFORMED: dict[str, bytes | dict[str, Any] | list[Any]] = {
    "empty": b"",
    "not-json": b"{model: claude}",
    "cut-off": b'{"model": "claude-sonnet-4-6", "messages": [{"role": "us',
    "not-an-object": ["x"],
    "a-number": b"7",
    "invalid-utf8": b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "lone-nan": b'{"model": "m", "max_tokens": NaN, "messages": []}',
    "no-model": {key: value for key, value in GOOD.items() if key != "model"},
    "model-is-a-number": {**GOOD, "model": 7},
    "no-max-tokens": {key: value for key, value in GOOD.items() if key != "max_tokens"},
    "max-tokens-is-text": {**GOOD, "max_tokens": "many"},
    "no-messages": {key: value for key, value in GOOD.items() if key != "messages"},
    "messages-is-text": {**GOOD, "messages": "hi"},
    "messages-is-empty": {**GOOD, "messages": []},
    "message-is-text": {**GOOD, "messages": ["hi"]},
    "content-is-a-number": {**GOOD, "messages": [{"role": "user", "content": 7}]},
    "content-is-missing": {**GOOD, "messages": [{"role": "user"}]},
    "deep-arrays": b"[" * 200_000,
    "deep-objects": b'{"model": "m", "max_tokens": 1, "messages": ' + b'{"a":' * 100_000,
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_request_is_refused(proxied: Proxied, name: str) -> None:
    answer, body = await post(proxied.url, MALFORMED[name])
    assert_envelope(answer, body, 400, "invalid_request_error")
    if proxied.name == "cerebras":  # Anthropic says by itself what it does not take
        assert [] == proxied.fake.of("main", "side", "bad")
    await assert_alive(proxied.daemon)


async def test_a_deeply_nested_but_whole_request_is_refused_or_served(proxied: Proxied) -> None:
    depth = 20_000
    schema = b'{"a":' * depth + b"1" + b"}" * depth
    body = json.dumps(GOOD).encode()[:-1] + b', "tools": [{"name": "T", "input_schema": '
    answer, reply = await post(proxied.url, body + schema + b"}]}")
    if answer.status != 200:
        assert_envelope(answer, reply, 400, "invalid_request_error")
    await assert_alive(proxied.daemon)


async def test_a_body_above_the_limit_is_too_large(proxied: Proxied) -> None:
    huge = {**GOOD, "messages": [{"role": "user", "content": "x" * (33 * MIB)}]}
    answer, body = await post(proxied.url, huge)
    assert_envelope(answer, body, 413, "request_too_large")
    assert [] == proxied.fake.of("side")
    await assert_alive(proxied.daemon)


async def test_a_body_just_below_the_limit_is_served(proxied: Proxied) -> None:
    large = {**GOOD, "messages": [{"role": "user", "content": "x" * (31 * MIB)}]}
    answer, _ = await post(proxied.url, large)
    assert 200 == answer.status


async def test_the_limit_is_configurable(launch: Launch, anthropic_stub: AnthropicStub) -> None:
    entry = {"type": "anthropic", "url": anthropic_stub.url}
    daemon = await launch(toml("a", {"a": entry}, '[server]\nmax_body = "1MiB"'))
    large = {**GOOD, "messages": [{"role": "user", "content": "x" * (2 * MIB)}]}
    answer, body = await post(daemon.url, large)
    assert_envelope(answer, body, 413, "request_too_large")


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "hologram", "data": {"x": 1}}, {"type": "text", "text": "and this"}],
        [None, {"type": "text", "text": "x"}],
        [{"type": "text", "text": ""}, {"type": "text", "text": "x"}],
        [{"type": "tool_result", "tool_use_id": "never-called", "content": "r"}],
        [{"type": "text", "text": "\ud800 lone"}],
    ],
    ids=["unknown-block", "null-block", "empty-text", "orphan-result", "lone-surrogate"],
)
async def test_odd_content_is_repaired_or_passed_on(proxied: Proxied, content: list[Any]) -> None:
    answer, body = await post(
        proxied.url, {**GOOD, "messages": [{"role": "user", "content": content}]}
    )
    assert 200 == answer.status, body
    assert "stub-ok" == body["content"][0]["text"]
    await assert_alive(proxied.daemon)


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("POST", "/v1/nothing", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("DELETE", "/v1/models", 405, "invalid_request_error"),
        ("GET", "/v1/models/no-such-model", 404, "not_found_error"),
        ("GET", "/%2e%2e/etc/passwd", 404, "not_found_error"),
    ],
)
async def test_a_wrong_path_or_method_gets_the_envelope(
    proxied: Proxied, method: str, path: str, status: int, kind: str
) -> None:
    headers = {"anthropic-version": "2023-06-01", "content-type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{proxied.url}{path}", headers=headers) as answer,
    ):
        assert_envelope(answer, json.loads(await answer.read()), status, kind)


async def test_bytes_that_are_not_http_leave_the_daemon_alone(proxied: Proxied) -> None:
    for noise in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\0" * 5000):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxied.daemon.port)
        writer.write(noise)
        writer.write_eof()
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()
        await writer.wait_closed()
    await assert_alive(proxied.daemon)


# ---- a backend that misbehaves


@pytest.fixture
async def raw_servers() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def behind(launch: Launch, url: str, protocol: str, *, first_byte: str = "60s") -> Daemon:
    """A daemon whose only backend is at `url`."""
    entry = {
        "type": PROTOCOLS[protocol],
        "url": url,
        "api_key": BACKEND_KEY,
        "timeouts": {"first_byte": first_byte, "idle": first_byte},
        "retries": 0,
    }
    return await launch(toml("box", {"box": entry}))


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_backend_that_is_down_is_named(
    launch: Launch, protocol: str, *, streams: bool
) -> None:
    port = closed_port()
    daemon = await behind(launch, f"http://127.0.0.1:{port}", protocol)
    answer, body = await post(daemon.url, {**GOOD, "stream": streams})
    message = assert_envelope(answer, body, 502, "api_error")
    assert "box" in message
    assert f"127.0.0.1:{port}" in message
    await assert_alive(daemon)


RAW: dict[str, tuple[bytes | None, bool, int, str]] = {
    # what the server sends (None: nothing, ever), whether it resets, status, type
    "silence": (None, False, 504, "timeout_error"),
    "not-http": (NOT_HTTP, False, 502, "api_error"),
    "closes": (b"", False, 502, "api_error"),
    "resets": (b"", True, 502, "api_error"),
    "half-a-frame": (HALF_A_FRAME, False, 502, "api_error"),
    "half-a-frame-then-reset": (HALF_A_FRAME, True, 502, "api_error"),
    "half-a-head": (b"HTTP/1.1 200 OK\r\ncontent-ty", False, 502, "api_error"),
    "half-a-body": (
        b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"id":',
        False,
        502,
        "api_error",
    ),
}


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", RAW)
async def test_a_backend_that_breaks_off(
    launch: Launch, raw_servers: AsyncExitStack, name: str, protocol: str, *, streams: bool
) -> None:
    sent, resets, expected, kind = RAW[name]
    server = await raw_servers.enter_async_context(RawServer(sent, resets=resets))
    daemon = await behind(launch, server.url, protocol, first_byte="1s")
    answer, body = await post(daemon.url, {**GOOD, "stream": streams})
    assert_envelope(answer, body, expected, kind)
    await assert_alive(daemon)


HTML = b"<html><head><title>Oops</title></head><body><h1>Oops</h1></body></html>"


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("status", [200, 500, 502, 503])
async def test_a_backend_that_speaks_html(proxied: Proxied, status: int, *, streams: bool) -> None:
    proxied.fake.rule(Answer(raw=RawAnswer(status, "text/html", HTML)))
    answer, body = await post(proxied.url, {**GOOD, "stream": streams})
    expected = {200: (502, "api_error"), 500: (500, "api_error"), 502: (502, "api_error")}
    message = assert_envelope(answer, body, *expected.get(status, (529, "overloaded_error")))
    assert "<" not in message
    await assert_alive(proxied.daemon)


# The others' words go through byte for byte, and they have only the client's own key.
@pytest.mark.parametrize("proxied", ["cerebras"], indirect=True)
async def test_a_key_in_a_backends_words_does_not_come_through(proxied: Proxied) -> None:
    prompt = f"hi [[stub:err401 any=1 msg=bad_key_{BACKEND_KEY}_here]]"
    body = {**GOOD, "messages": [{"role": "user", "content": prompt}]}
    answer, reply = await post(proxied.url, body)
    message = assert_envelope(answer, reply, 401, "authentication_error")
    assert "bad key" in message
    assert "false" == answer.headers["x-should-retry"]


async def test_the_clients_own_key_goes_to_anthropic_only(proxied: Proxied) -> None:
    await post(proxied.url, GOOD, authorization=f"Bearer {API_KEY}")
    seen = proxied.fake.of("side")[0]
    given = json.dumps(dict(seen.headers))
    assert (proxied.name != "cerebras") == (API_KEY in given)
    assert (proxied.name == "cerebras") == (BACKEND_KEY in given)


async def test_a_web_page_is_refused(proxied: Proxied) -> None:
    answer, body = await post(proxied.url, GOOD, origin="https://evil.example.test")
    assert_envelope(answer, body, 403, "permission_error")
    assert [] == proxied.fake.of("side")
