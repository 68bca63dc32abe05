"""Section 0: what must hold whatever comes in from either side."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.grammar import Event
from tests.conformance.upstream import End, Reply
from tests.conformance.vocabulary import (
    DONE,
    MODEL,
    TOOLS,
    assistant,
    data,
    delta,
    fails,
    finish,
    image,
    request,
    says,
    sse,
    text,
    thinking,
    tool,
    tool_delta,
    tool_result,
    tool_use,
    usage,
    user,
)

MIB = 1024 * 1024
KINDS = ["openai-compatible", "cerebras", "vllm", "llamacpp", "ollama", "openrouter", "litellm"]
UNPARSED = {"__unparsedToolInput": {"raw": '{"a":', "len": 5}}
MALFORMED = "[Tool call was malformed and could not be parsed]"
# What a session may hold after all that has gone wrong in it (invariant 10).
PASTS: dict[str, list[dict[str, Any]]] = {
    "error-marker": [assistant("API Error: 529 Overloaded"), user("go on")],
    "malformed-marker": [assistant(MALFORMED), user("go on")],
    "unsigned-thinking": [assistant(thinking("t", ""), tool_use("a")), user(tool_result("a", "1"))],
    "thinking-without-signature": [
        assistant({"type": "thinking", "thinking": "t"}, "x"),
        user("go on"),
    ],
    "thinking-only": [assistant(thinking("t")), user("go on")],
    "signature-only": [assistant(thinking("", "llmproxyd.x"), tool_use("a"))],
    "image-for-a-blind-model": [user("look", image()), assistant("x"), user("go on")],
    "foreign-ids": [
        assistant(tool_use("functions.Bash:0"), tool_use("call_" + "x" * 80), tool_use("ü")),
        user(tool_result("functions.Bash:0", "1"), tool_result("ü", "2")),
    ],
    "same-id-twice": [
        assistant(tool_use("c"), tool_use("c")),
        user(tool_result("c", "1"), tool_result("c", "2")),
    ],
    "unparsed-input": [assistant(tool_use("a", UNPARSED)), user(tool_result("a", "bad"))],
    "empty-text": [assistant(text(""), tool_use("a")), user(tool_result("a", ""), text(""))],
    "call-of-an-unknown-tool": [assistant(tool_use("a", {}, "Gone")), user(tool_result("a", "1"))],
    "result-of-nothing": [user(tool_result("gone", "1"))],
    "calls-without-results": [assistant(tool_use("a"), tool_use("b")), user("never mind")],
    "lone-surrogate": [user("a\ud83eb\x00c")],
    "assistant-first": [assistant("x"), user("y")],
    "many-users": [user("x"), user("y"), user("z")],
    "null-block": [{"role": "user", "content": [None, text("x")]}],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("has_tools", [True, False], ids=["tools", "no-tools"])
async def test_no_history_is_refused_i10(serve: Serve, kind: str, *, has_tools: bool) -> None:
    rig = await serve(kind=kind, limits={MODEL: {"vision": False}})
    tools = {"tools": [tool("Bash")]} if has_tools else {}
    refused = {}
    for name, past in PASTS.items():
        first = [] if name == "assistant-first" else [user("hi")]
        got = await rig.ask(request(*first, *past, **tools))
        if got.status != 200:
            refused[name] = got.error
    assert {} == refused


NUMBERS = (0, 0, 0, 1, 2, None)
ARGUMENTS = ("", "{", '{"a"', ":1}", '{"a":1}', "}", "x", None)


def piece(dice: random.Random) -> bytes:
    """One upstream event, likely or not."""
    words = dice.choice(("", " ", "\n\n", "He", "llo ", "<think>", "</think>", "</stop>", "</st"))
    call_id = dice.choice((None, None, "a", "b", "a b", "old", ""))
    name = dice.choice((None, None, "Ba", "sh", "Bash", "Read", ""))
    made: dict[str, Callable[[], bytes]] = {
        "content": lambda: delta(content=words),
        "reasoning": lambda: delta(reasoning=words),
        "tool": lambda: tool_delta(dice.choice(NUMBERS), call_id, name, dice.choice(ARGUMENTS)),
        "comment": lambda: b": wait\n\n",
        "usage": lambda: usage(dice.randrange(50), dice.randrange(50)),
        "refusal": lambda: delta(refusal=words),
        "empty": delta,
    }
    return made[dice.choices(list(made), (6, 3, 10, 1, 1, 0.2, 1))[0]]()


def ending(dice: random.Random) -> tuple[list[bytes], End]:
    """How a stream may end."""
    reasons = ("stop", "stop", "tool_calls", "tool_calls", "length", "content_filter", "odd")
    finished = [finish(dice.choice(reasons)), usage()]
    failed = data({"error": {"code": 500, "message": "m"}})
    ends: list[tuple[list[bytes], End]] = [
        ([*finished, DONE], "whole"),
        ([*finished, DONE], "whole"),
        (finished, "eof"),
        ([DONE], "whole"),
        ([], "eof"),
        ([], "cut"),
        ([failed], "whole"),
        ([b"data: {\n\n"], "whole"),
    ]
    return dice.choice(ends)


def scripted(dice: random.Random) -> Reply:
    pieces = [piece(dice) for _ in range(dice.randrange(12))]
    last, end = ending(dice)
    return sse(*pieces, *last, end=end)


def comparable(message: Event) -> Event:
    """The message without the ids that are made for it."""
    blocks = [block | {"id": ""} if "id" in block else block for block in message["content"]]
    return message | {"id": "", "content": blocks}


@pytest.mark.parametrize("seed", range(8))
async def test_any_stream_of_the_upstream_becomes_a_legal_one(serve: Serve, seed: int) -> None:
    """Invariants 2 to 7, and 9: both modes tell the same, or both fail."""
    dice = random.Random(seed)  # the same streams at every run
    rig = await serve()
    past = [user("hi"), assistant(tool_use("old")), user(tool_result("old", "1"))]
    options: dict[str, Any] = {
        "tools": TOOLS,
        "thinking": {"type": "adaptive"},
        "stop_sequences": ["1", "2", "3", "4", "</stop>"],
    }
    for _ in range(40):
        rig.upstream.script(scripted(dice))
        asked = request(*past, **options)
        events = await rig.ask(asked | {"stream": True}, history_ids={"old"})
        whole = await rig.ask(asked, history_ids={"old"})
        if events.status == 200 and events.story[-1] == "ME":
            assert comparable(events.message) == comparable(whole.message)
        else:
            assert whole.status >= 400, (events.story, whole.json)


@pytest.mark.parametrize("path", ["/", "/api/hello"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_hello_is_answered(serve: Serve, path: str, method: str) -> None:
    rig = await serve()
    assert 200 == (await rig.get(path, method)).status


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true", "/v1/messages?x=%20"])
async def test_query_does_not_matter(serve: Serve, path: str) -> None:
    rig = await serve()
    assert 200 == (await rig.ask(request(), path)).status
    assert "/chat/completions" == rig.upstream.request.path.removeprefix("/v1")


async def test_body_of_32_megabytes_is_accepted(serve: Serve) -> None:
    rig = await serve()
    assert 200 == (await rig.ask(request(user("x" * 32_000_000)))).status


async def test_larger_body_is_refused(serve: Serve) -> None:
    rig = await serve()
    got = await rig.ask(b'{"model":"' + b"x" * 33 * MIB + b'"}')
    assert (413, "request_too_large") == got.error[:2]


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_upstreams_model_is_told_in_a_header(serve: Serve, *, streams: bool) -> None:
    rig = await serve(model="real-name")
    got = await rig.ask(request(stream=streams))
    assert "real-name" == got.headers["x-llmproxyd-upstream-model"]
    assert MODEL == got.message["model"]
    assert "real-name" == rig.logged("request_finished")[0]["upstream_model"]


FAILED = data({"error": {"code": 500, "message": "m"}})
OUTCOMES = {
    "message": says(),
    "status": fails(400, {"error": "m"}),
    "first-event": sse(FAILED),
    "broken": sse(delta(content="x"), FAILED),
}


@pytest.mark.parametrize("name", ["x-request-id", "x-litellm-call-id", "cf-ray"])
@pytest.mark.parametrize("reply", OUTCOMES.values(), ids=OUTCOMES)
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_upstreams_id_is_told_in_a_header(
    serve: Serve, reply: Reply, name: str, *, streams: bool
) -> None:
    rig = await serve(dataclasses.replace(reply, headers=reply.headers | {name: "up-1"}))
    got = await rig.ask(request(stream=streams))
    assert "up-1" == got.headers["x-llmproxyd-upstream-request-id"]
    assert "up-1" == rig.logged("request_finished")[0]["upstream_request_id"]
