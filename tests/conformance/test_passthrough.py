"""Routes to Messages servers: correction 3 and 4, the invariants where a server breaks them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.rig import CLIENT_KEY, Rig
from tests.conformance.upstream import End, Reply
from tests.conformance.vocabulary import (
    assistant,
    fails,
    request,
    text,
    tool_result,
    tool_use,
    user,
)

ID = "msg_01ABCDEFGHIJKLMNOPQRSTUVWX"
SPENT = {
    "input_tokens": 10,
    "output_tokens": 3,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}
TOOL: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def start(message_id: str = ID) -> bytes:
    message: dict[str, Any] = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": "real",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": SPENT | {"output_tokens": 1},
    }
    return event("message_start", message=message)


def block(index: int, began: dict[str, Any], *pieces: dict[str, Any]) -> list[bytes]:
    deltas = [event("content_block_delta", index=index, delta=piece) for piece in pieces]
    opened = event("content_block_start", index=index, content_block=began)
    return [opened, *deltas, event("content_block_stop", index=index)]


def said(index: int, words: str) -> list[bytes]:
    pieces = [{"type": "text_delta", "text": words}] if words else []
    return block(index, text(""), *pieces)


def called(index: int, call_id: str, arguments: str = "{}") -> list[bytes]:
    piece = {"type": "input_json_delta", "partial_json": arguments}
    return block(index, TOOL | {"id": call_id}, piece)


def end(reason: str, **fields: Any) -> list[bytes]:
    ending = {"stop_reason": reason, "stop_sequence": None, **fields}
    return [event("message_delta", delta=ending, usage=SPENT), event("message_stop")]


def stream(*pieces: bytes | list[bytes], how: End = "whole") -> Reply:
    flat = [one for some in pieces for one in (some if isinstance(some, list) else [some])]
    return Reply(flat, end=how)


RESULTS = [{"type": "dangerous_tool_use", "status": {"type": "available", "tool_uses": {}}}]
SAFEGUARDS = [{"type": "dangerous_tool_use", "classifier_context": {"live_cwd": "/x"}}]


async def genuine(serve: Serve, reply: Reply) -> Rig:
    """As to Anthropic's own host: nothing is repaired, the client's credential goes up."""
    return await serve(reply, kind="anthropic", api_key=None, quirks={"repair": False})


@pytest.mark.parametrize("repair", [True, False], ids=["repaired", "genuine"])
async def test_safeguards_pass_whole_c3(serve: Serve, *, repair: bool) -> None:
    reply = stream(start(), said(0, "x"), end("end_turn", safeguard_results=RESULTS))
    rig = await serve(reply, kind="anthropic", quirks={"repair": repair})
    got = await rig.ask(request(stream=True, safeguards=SAFEGUARDS))
    assert SAFEGUARDS == rig.upstream.body["safeguards"]
    assert RESULTS == got.events[-2]["delta"]["safeguard_results"]


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize(
    "given",
    [
        {"x_api_key": CLIENT_KEY},
        {"authorization": f"Bearer {CLIENT_KEY}"},
        {"x_api_key": CLIENT_KEY, "authorization": f"Bearer {CLIENT_KEY}"},
    ],
    ids=["x-api-key", "bearer", "both"],
)
async def test_version_betas_and_credentials_pass_unchanged_c4(
    serve: Serve, given: dict[str, str], version: str
) -> None:
    rig = await genuine(serve, stream(start(), said(0, "x"), end("end_turn")))
    betas = "claude-code-20250219,effort-2025-11-24"
    await rig.ask(request(stream=True), anthropic_version=version, anthropic_beta=betas, **given)
    sent = rig.upstream.request.headers
    assert (version, betas) == (sent["anthropic-version"], sent["anthropic-beta"])
    for name, value in given.items():
        assert value == sent[name.replace("_", "-")]


async def test_bytes_pass_unchanged_both_ways(serve: Serve) -> None:
    pieces = [start(), *said(0, "x"), *end("end_turn")]
    rig = await genuine(serve, Reply(pieces))
    body = b'{ "model":"m", "max_tokens": 7,\n"foo": [1e2], "stream" :true, "messages":[{}] }'
    got = await rig.ask(body)
    assert body == rig.upstream.request.raw
    assert b"".join(pieces) == got.raw


async def test_error_bodies_pass_unchanged_c8(serve: Serve) -> None:
    said = {"type": "error", "error": {"type": "invalid_request_error", "message": "Invalid `x`"}}
    reply = fails(400, said | {"request_id": "req_up"}, request_id="req_up", x_should_retry="false")
    rig = await genuine(serve, reply)
    async with rig.session.post(f"{rig.url}/v1/messages", json=request()) as got:
        assert 400 == got.status
        assert reply.pieces[0] == await got.read()
        assert ("req_up", "false") == (got.headers["request-id"], got.headers["x-should-retry"])


async def repaired(serve: Serve, reply: Reply) -> Rig:
    """As to any other host."""
    return await serve(reply, kind="anthropic")


async def test_message_ids_are_made_fresh_i1(serve: Serve) -> None:
    rig = await repaired(serve, stream(start("msg_1"), said(0, "x"), end("end_turn")))
    ids = {(await rig.ask(request(stream=True))).message["id"] for _ in range(5)}
    assert 5 == len(ids)


async def test_tool_ids_are_made_unique_i2(serve: Serve) -> None:
    reply = stream(start(), called(0, "old"), called(1, "t"), called(2, "t"), end("tool_use"))
    rig = await repaired(serve, reply)
    past = [user("hi"), assistant(tool_use("old")), user("stop")]
    got = await rig.ask(request(*past, stream=True), history_ids={"old"})
    assert 3 == len({one["id"] for one in got.content} - {"old"})


# Blocks and stop_reason of the server to the types of blocks and the stop_reason.
MENDED: dict[str, tuple[list[list[bytes]], str, list[str], str]] = {
    "i4-empty-text": ([said(0, ""), said(1, "x")], "end_turn", ["text"], "end_turn"),
    "i4-blank-text": ([said(0, "\n"), called(1, "t")], "tool_use", ["tool_use"], "tool_use"),
    "i5-reason-without-call": ([said(0, "x")], "tool_use", ["text"], "end_turn"),
    "i5-call-without-reason": ([called(0, "t")], "end_turn", ["tool_use"], "tool_use"),
}


@pytest.mark.parametrize(("blocks", "reason", "kinds", "expected"), MENDED.values(), ids=MENDED)
async def test_stream_is_put_in_order(
    serve: Serve, blocks: list[list[bytes]], reason: str, kinds: list[str], expected: str
) -> None:
    rig = await repaired(serve, stream(start(), *blocks, end(reason)))
    got = await rig.ask(request(stream=True))
    assert kinds == [one["type"] for one in got.content]
    assert expected == got.message["stop_reason"]


@pytest.mark.parametrize("how", ["whole", "eof", "cut", "reset"])
async def test_cut_stream_ends_with_an_error_i6(serve: Serve, how: End) -> None:
    half = block(0, TOOL, {"type": "input_json_delta", "partial_json": '{"co'})[:-1]
    rig = await repaired(serve, stream(start(), half, how=how))
    got = await rig.ask(request(stream=True))
    assert ["MS", "BS(tool_use)", "BD", "error"] == got.story


async def test_overflow_gets_the_words_that_start_compaction_i8(serve: Serve) -> None:
    words = (
        "This model's maximum context length is 32768 tokens. However, you requested 1000 output "
        "tokens and your prompt contains at least 40000 input tokens."
    )
    reply = fails(400, {"type": "error", "error": {"type": "BadRequestError", "message": words}})
    rig = await repaired(serve, reply)
    expected = (
        "prompt is too long: 40000 tokens > 32768 maximum (capability_rejected: prompt_too_long)"
    )
    assert (400, "invalid_request_error", expected) == (await rig.ask(request())).error


async def test_json_answer_to_a_stream_becomes_events_i9(serve: Serve) -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "real",
        "content": [text("x"), TOOL | {"input": {"a": 1}}],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": SPENT,
    }
    rig = await repaired(serve, fails(200, message))
    got = await rig.ask(request(stream=True))
    assert got.is_stream
    assert [("text", None), ("tool_use", {"a": 1})] == [
        (one["type"], one.get("input")) for one in got.content
    ]
    assert 1 == len(rig.upstream.requests)


def thought(index: int, words: str) -> list[bytes]:
    pieces = [{"type": "thinking_delta", "thinking": words}] if words else []
    signature = {"type": "signature_delta", "signature": "sig"}
    began = {"type": "thinking", "thinking": "", "signature": ""}
    return block(index, began, *pieces, signature)


def any_block(dice: random.Random, index: int) -> list[bytes]:
    """A block that is well made in itself."""
    call_id = dice.choice(("t1", "t1", "t2", "old", "a b", "", "x" * 70))
    made: list[Callable[[], list[bytes]]] = [
        lambda: said(index, dice.choice(("", " ", "\n\n", "hello"))),
        lambda: called(index, call_id, dice.choice(("{}", '{"a":1}'))),
        lambda: block(index, TOOL | {"id": call_id}),
        lambda: thought(index, dice.choice(("", "r"))),
    ]
    return dice.choice(made)()


def any_stream(dice: random.Random) -> Reply:
    """Blocks in order, and an ending that may be wrong, missing or cut."""
    blocks = [any_block(dice, index) for index in range(dice.randrange(5))]
    reason = dice.choice(("end_turn", "tool_use", "max_tokens"))
    pings = [event("ping")] * dice.randrange(2)
    parts = [
        start(dice.choice((ID, "msg_1", ""))),
        *pings,
        *[one for some in blocks for one in some],
    ]
    ways: list[tuple[list[bytes], End]] = [
        (parts + end(reason), "whole"),
        (parts + end(reason), "eof"),
        (parts + end(reason)[:1], "eof"),
        (parts, "cut"),
        (parts[: dice.randrange(len(parts)) + 1], "eof"),
        ([*parts, event("error", error={"type": "api_error", "message": "m"})], "whole"),
    ]
    pieces, how = dice.choice(ways)
    return stream(pieces, how=how)


@pytest.mark.parametrize("seed", range(4))
async def test_any_stream_of_a_messages_server_becomes_a_legal_one(serve: Serve, seed: int) -> None:
    dice = random.Random(seed)  # the same streams at every run
    past = [user("hi"), assistant(tool_use("old")), user(tool_result("old", "1"))]
    rig = await repaired(serve, stream())
    for _ in range(40):
        rig.upstream.script(any_stream(dice))
        await rig.ask(request(*past, stream=True), history_ids={"old"})
