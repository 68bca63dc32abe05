"""A client that leaves stops the upstream within a second (translation spec, section 3.7)."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest

from tests.conftest import Proxied
from tests.fakes.server import Seen
from tests.real.daemon import eventually

LIMIT_S = 1.0
SLACK_S = 1.0  # the machine may be busy with other things


def call(prompt: str, *, streams: bool) -> dict[str, object]:
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 100,
        "stream": streams,
        "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": prompt}],
    }


async def leaves_upstream(proxied: Proxied, seen: Seen, left_at: float) -> None:
    """The upstream connection of `seen` ends soon after `left_at`, and the log says why."""
    async with asyncio.timeout(20):
        await seen.client_left.wait()
    assert seen.left_at is not None
    assert seen.left_at - left_at < LIMIT_S + SLACK_S
    await eventually(lambda: proxied.daemon.events("request_finished"))
    assert "cancelled" == proxied.daemon.events("request_finished")[0]["result"]


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_a_client_that_leaves_before_the_first_byte(
    proxied: Proxied, *, streams: bool
) -> None:
    async with aiohttp.ClientSession() as session:
        body = call("hi [[stub:slowhdr s=120]]", streams=streams)
        waiting = asyncio.ensure_future(session.post(f"{proxied.url}/v1/messages", json=body))
        seen = await proxied.fake.arrival()
        left_at = time.monotonic()
        waiting.cancel()
        await leaves_upstream(proxied, seen, left_at)


# A passed-through request without stream has no events upstream.
@pytest.mark.parametrize(
    ("proxied", "streams"),
    [("anthropic", True), ("repaired", True), ("cerebras", True), ("cerebras", False)],
    indirect=["proxied"],
)
async def test_a_client_that_leaves_before_the_first_event(
    proxied: Proxied, *, streams: bool
) -> None:
    async with aiohttp.ClientSession() as session:
        body = call("hi [[stub:hold after=0]]", streams=streams)
        waiting = asyncio.ensure_future(session.post(f"{proxied.url}/v1/messages", json=body))
        seen = await proxied.fake.arrival()
        await eventually(lambda: seen.status == 200)
        left_at = time.monotonic()
        waiting.cancel()
        await leaves_upstream(proxied, seen, left_at)


async def test_a_client_that_leaves_in_the_middle_of_a_stream(proxied: Proxied) -> None:
    async with aiohttp.ClientSession() as session:
        body = call("hi [[stub:hold after=5]]", streams=True)
        answer = await session.post(f"{proxied.url}/v1/messages", json=body)
        async for line in answer.content:
            if line.startswith(b"event: content_block_delta"):
                break
        seen = await proxied.fake.arrival()
        left_at = time.monotonic()
        answer.close()
        await leaves_upstream(proxied, seen, left_at)


async def test_the_daemon_serves_on_after_many_have_left(proxied: Proxied) -> None:
    async with aiohttp.ClientSession() as session:
        for count in range(1, 11):
            body = call(f"hi [[stub:slowhdr s=120 id={count}]]", streams=True)
            waiting = asyncio.ensure_future(session.post(f"{proxied.url}/v1/messages", json=body))
            seen = await proxied.fake.arrival(count=count)
            waiting.cancel()
            await asyncio.wait_for(seen.client_left.wait(), 20)
        body = call("hi", streams=False)
        async with session.post(f"{proxied.url}/v1/messages", json=body) as answer:
            assert 200 == answer.status
    code, out, err = await proxied.daemon.ctl("status", "--json")
    assert (0, 0) == (code, json.loads(out)["in_flight"]), out + err
