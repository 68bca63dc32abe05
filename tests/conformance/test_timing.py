"""S09 to S11, S14, S15 and section 3.7: who waits for whom, and what goes out in which form."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from llmproxyd import delivery, pipeline
from tests.conformance.conftest import Serve
from tests.conformance.grammar import aggregate
from tests.conformance.rig import CLIENT_HEADERS, Rig
from tests.conformance.upstream import Reply
from tests.conformance.vocabulary import (
    DONE,
    call,
    delta,
    fails,
    finish,
    request,
    sse,
    streamed,
    text,
    tool,
    usage,
    user,
    whole,
)

GRACE_S = 0.15  # stands for 15 s
SILENCE_S = 0.4
LEAVES_WITHIN_S = 1.0


@pytest.fixture
def quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PING_INTERVAL_S", GRACE_S)


ORDINARY = (delta(content="x"), finish("stop"), usage(), DONE)
SILENCES = {
    "no-head": Reply(ORDINARY, head_after_s=SILENCE_S),
    "head-only": sse(SILENCE_S, *ORDINARY),
    "comment-only": sse(b": wait\n\n", SILENCE_S, *ORDINARY),
}


@pytest.mark.usefixtures("quick_pings")
@pytest.mark.parametrize("reply", SILENCES.values(), ids=SILENCES)
async def test_silent_upstream_is_bridged_by_pings_s09(serve: Serve, reply: Reply) -> None:
    rig = await serve(reply)
    got = await rig.ask(request(stream=True))
    assert got.raw.startswith(b'event: ping\ndata: {"type": "ping"}\n\n')
    after = [word for word in got.story if word != "ping"]
    assert ["MS", "BS(text)", "BD", "BE", "MD", "ME"] == after
    assert 1 == len(rig.upstream.requests)


@pytest.mark.usefixtures("quick_pings")
async def test_pings_go_on_inside_of_a_block(serve: Serve) -> None:
    rig = await serve(sse(ORDINARY[0], SILENCE_S, *ORDINARY[1:]))
    got = await rig.ask(request(stream=True))
    assert ["MS", "BS(text)", "BD", "ping"] == got.story[:4]
    assert "ME" == got.story[-1]


FAILS_LATE = {
    "no-head": Reply([b"{}"], status=503, head_after_s=SILENCE_S),
    "head-only": sse(SILENCE_S, b'data: {"error":{"code":503}}\n\n'),
}


@pytest.mark.usefixtures("quick_pings")
@pytest.mark.parametrize("reply", FAILS_LATE.values(), ids=FAILS_LATE)
async def test_error_after_the_grace_is_the_first_event(serve: Serve, reply: Reply) -> None:
    rig = await serve(reply)
    got = await rig.ask(request(stream=True))
    assert {"ping"} == set(got.story[:-1])
    assert (200, "overloaded_error") == got.error[:2]


@pytest.mark.usefixtures("quick_pings")
async def test_client_without_stream_gets_no_pings(serve: Serve) -> None:
    rig = await serve(sse(SILENCE_S, *ORDINARY))
    got = await rig.ask(request())
    assert [text("x")] == got.content


LIMIT = {"error": {"message": "slow down", "type": "rate_limit"}}


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_error_before_the_first_event_has_a_status_s10(
    serve: Serve, *, streams: bool
) -> None:
    rig = await serve(fails(429, LIMIT, retry_after="7"))
    got = await rig.ask(request(stream=streams))
    assert (429, "rate_limit_error", "[up] slow down") == got.error
    assert "application/json" == got.headers["content-type"]
    assert "7" == got.headers["retry-after"]


async def leave(rig: Rig, body: dict[str, Any], after: int) -> float:
    """Read `after` deltas, then close the connection; when that was."""
    posted = rig.session.post(f"{rig.url}/v1/messages", json=body, headers=CLIENT_HEADERS)
    answer: aiohttp.ClientResponse = await posted
    seen = 0
    async for line in answer.content:
        seen += line.startswith(b"event: content_block_delta")
        if seen == after:
            break
    answer.close()
    return time.monotonic()


async def cancelled(rig: Rig) -> dict[str, Any]:
    """The log line of the request that its client has left."""
    async with asyncio.timeout(5):
        while not rig.logged("request_finished"):
            await asyncio.sleep(0.01)
    return rig.logged("request_finished")[0]


async def test_client_that_leaves_stops_the_upstream_s11(serve: Serve) -> None:
    pieces = [delta(content=word) for word in "abc"]
    rig = await serve(sse(*pieces, end="hold"))
    left_at_s = await leave(rig, request(stream=True), after=3)
    received = rig.upstream.request
    await asyncio.wait_for(received.left.wait(), 5)
    assert received.left_at_s - left_at_s < LEAVES_WITHIN_S
    assert "cancelled" == (await cancelled(rig))["result"]


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("reply", [sse(end="hold"), sse(delta(content="x"), end="hold")])
async def test_client_that_leaves_while_it_waits_stops_the_upstream_s11(
    serve: Serve, reply: Reply, *, streams: bool
) -> None:
    rig = await serve(reply)
    waiting = asyncio.ensure_future(
        rig.session.post(f"{rig.url}/v1/messages", json=request(stream=streams))
    )
    async with asyncio.timeout(5):
        while not rig.upstream.requests:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    left_at_s = time.monotonic()
    if waiting.done():
        waiting.result().close()
    waiting.cancel()
    received = rig.upstream.request
    await asyncio.wait_for(received.left.wait(), 5)
    assert received.left_at_s - left_at_s < LEAVES_WITHIN_S
    assert "cancelled" == (await cancelled(rig))["result"]


async def test_first_byte_limit_is_a_timeout(serve: Serve) -> None:
    rig = await serve(sse(0.5), timeouts={"first_byte": 0.1, "idle": 0.1})
    got = await rig.ask(request(stream=True))
    assert (504, "timeout_error") == got.error[:2]


async def test_idle_limit_breaks_the_stream_but_comments_count(serve: Serve) -> None:
    comments: list[bytes | float] = [0.2, b": alive\n\n"] * 4
    reply = sse(delta(content="x"), *comments, delta(content="y"), end="hold")
    rig = await serve(reply, timeouts={"idle": 0.6})
    got = await rig.ask(request(stream=True))
    assert ["MS", "BS(text)", "BD", "BD", "error"] == got.story
    assert (200, "timeout_error") == got.error[:2]


async def test_late_usage_is_waited_for_only_so_long(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_USAGE_WAIT_S", GRACE_S)
    rig = await serve(sse(delta(content="x"), finish("stop"), end="hold"))
    got = await rig.ask(request(stream=True))
    assert ["MS", "BS(text)", "BD", "BE", "MD", "ME"] == got.story
    await asyncio.wait_for(rig.upstream.request.left.wait(), 5)


ANSWER: dict[str, Any] = {
    "reasoning": "r",
    "content": "t",
    "tool_calls": [call("a", '{"x":1}'), call("b", "", "Read")],
}
ASKED: dict[str, Any] = {"tools": [tool("Bash"), tool("Read")], "thinking": {"type": "adaptive"}}


async def test_client_without_stream_gets_what_the_events_add_up_to_s14(serve: Serve) -> None:
    rig = await serve(streamed(ANSWER, "tool_calls"))
    as_json = await rig.ask(request(user("hi"), **ASKED))
    as_events = await rig.ask(request(user("hi"), stream=True, **ASKED))
    assert "application/json" == as_json.headers["content-type"]
    assert aggregate(as_events.events) | {"id": ""} == as_json.json | {"id": ""}
    assert [True, True] == [received.body["stream"] for received in rig.upstream.requests]


async def test_client_with_stream_gets_events_of_a_whole_answer_s15(serve: Serve) -> None:
    rig = await serve(whole(ANSWER, "tool_calls"))
    got = await rig.ask(request(user("hi"), stream=True, **ASKED))
    kinds = [word for word in got.story if word.startswith("BS")]
    assert ["BS(thinking)", "BS(text)", "BS(tool_use)", "BS(tool_use)"] == kinds
    assert ["MD", "ME"] == got.story[-2:]
    assert "tool_use" == got.message["stop_reason"]
    assert 1 == len(rig.upstream.requests)


async def test_events_go_out_as_they_come_in(serve: Serve) -> None:
    rig = await serve(sse(delta(content="x"), end="hold"))
    left_at_s = await asyncio.wait_for(leave(rig, request(stream=True), after=1), 5)
    assert left_at_s < time.monotonic()
