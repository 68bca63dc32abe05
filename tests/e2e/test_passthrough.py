"""To Anthropic's own host and back, every byte is the client's and the backend's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Launch, anthropic_backend
from tests.fakes.answers import Answer, RawAnswer
from tests.fakes.anthropic_stub import AnthropicStub
from tests.real.claude_cli import API_KEY
from tests.real.daemon import Daemon, toml

FIXTURES = Path(__file__).parents[1] / "fixtures"
# Odd but legal: unknown fields, unusual blanks, escapes that an encoder would write otherwise.
ODD = (
    b'{ "model":"claude-sonnet-4-6" ,"max_tokens": 100,\n\t"x_new_field": {"b":1,"a":[ ]},'
    b'"messages":[{"role":"user","content":"\\u00e9\\/ \xc3\xa9"}] }'
)
HEADERS = {
    "content-type": "application/json",
    "x-api-key": API_KEY,
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "one-2026-01-01,two-2026-02-02",
    "x-unknown-header": "kept",
}


@pytest.fixture
async def daemon(launch: Launch, anthropic_stub: AnthropicStub) -> Daemon:
    return await launch(toml("a", {"a": anthropic_backend(anthropic_stub.url)}))


async def answered(
    daemon: Daemon, raw: bytes, path: str = "/v1/messages?beta=true", **headers: str
) -> tuple[aiohttp.ClientResponse, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{daemon.url}{path}", data=raw, headers={**HEADERS, **headers}) as answer,
    ):
        return answer, await answer.read()


def recorded() -> list[tuple[str, str, bytes]]:
    """Name, path and body of every recorded request of a real client that has a body."""
    found: list[tuple[str, str, bytes]] = []
    for file in sorted(FIXTURES.glob("*.json")):
        record: dict[str, Any] = json.loads(file.read_text())
        if record.get("body"):
            path = "/v1/" + record["path"].partition("/v1/")[2]
            found.append((file.stem, path, json.dumps(record["body"]).encode()))
    return found


async def test_a_request_arrives_as_it_was_sent(
    daemon: Daemon, anthropic_stub: AnthropicStub
) -> None:
    answer, _ = await answered(daemon, ODD)
    seen = anthropic_stub.of("side")[0]
    assert 200 == answer.status
    assert ODD == seen.raw
    assert "beta=true" == seen.query
    for name in ("x-api-key", "anthropic-version", "anthropic-beta", "x-unknown-header"):
        assert HEADERS[name] == seen.headers[name]


async def test_every_recorded_request_arrives_as_it_was_sent(
    daemon: Daemon, anthropic_stub: AnthropicStub
) -> None:
    changed: list[str] = []
    for name, path, raw in recorded():
        anthropic_stub.requests.clear()
        await answered(daemon, raw, path)
        sent = [seen.raw for seen in anthropic_stub.requests if seen.method == "POST"]
        if sent != [raw]:
            changed.append(name)
    # Its unsigned thinking would make Anthropic refuse the whole request.
    assert ["330-unsigned-thinking-followup"] == changed


@pytest.mark.parametrize("script", ["thinking_tool", "unknown", "crlf", "noping", "interleave"])
async def test_a_stream_comes_back_as_it_was_sent(
    daemon: Daemon, anthropic_stub: AnthropicStub, script: str
) -> None:
    sent: list[bytes] = []
    stream = anthropic_stub.stream

    async def keeping(request: Any, seen: Any, answer: Answer, events: list[bytes]) -> Any:
        line_end = b"\r\n" if answer.crlf else b"\n"
        sent.append(b"".join(events).replace(b"\n", line_end))
        return await stream(request, seen, answer, events)

    anthropic_stub.stream = keeping  # type: ignore[method-assign]
    prompt = f"hi [[stub:{script} any=1]]"
    body = {"model": "m", "max_tokens": 5, "stream": True}
    call = {**body, "messages": [{"role": "user", "content": prompt}]}
    _, got = await answered(daemon, json.dumps(call).encode())
    assert sent == [got]


async def test_an_error_comes_back_as_it_was_sent(
    daemon: Daemon, anthropic_stub: AnthropicStub
) -> None:
    body = b'{"type":"error",  "error":{"type":"new_error","message":"as is"},"extra":[1]}'
    anthropic_stub.rule(Answer(raw=RawAnswer(418, "application/json", body)))
    answer, got = await answered(daemon, ODD)
    assert (418, body) == (answer.status, got)


async def test_retry_headers_come_back(daemon: Daemon, anthropic_stub: AnthropicStub) -> None:
    prompt = "hi [[stub:err429 any=1 retry_after=7 should_retry=false]]"
    call = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": prompt}]}
    answer, _ = await answered(daemon, json.dumps(call).encode())
    seen = anthropic_stub.of("side")[0]
    assert "7" == answer.headers["retry-after"]
    assert "false" == answer.headers["x-should-retry"]
    assert f"req_stub{seen.seq:020d}" == answer.headers["request-id"]
    assert 1 == len(anthropic_stub.of("side"))
