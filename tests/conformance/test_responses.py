"""P01 to P05, P09 to P12: what becomes of an answer, whole or streamed, for a client of either kind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conformance.conftest import Build, Serve, answered
from tests.conformance.upstream import Reply
from tests.conformance.vocabulary import (
    DONE,
    MODEL,
    TOOLS,
    assistant,
    call,
    data,
    delta,
    fails,
    finish,
    request,
    sse,
    text,
    tool_delta,
    tool_result,
    tool_use,
    usage,
    user,
    whole,
)


async def test_text_p01(serve: Serve, build: Build, *, streams: bool) -> None:
    got = await answered(serve, build({"content": "hi"}), streams=streams)
    assert [text("hi")] == got.content
    message = got.message
    assert MODEL == message["model"]
    assert ("end_turn", None) == (message["stop_reason"], message["stop_sequence"])
    expected = {
        "input_tokens": 10,
        "output_tokens": 3,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }
    assert expected == {name: message["usage"][name] for name in expected}


# Fields of the upstream message, its finish_reason and further fields of the choice to the
# stop_reason and the types of blocks.
ENDINGS: dict[str, tuple[dict[str, Any], Any, dict[str, Any], str, list[str]]] = {
    "P02-stop-with-a-call": (
        {"tool_calls": [call("a")]},
        "stop",
        {},
        "tool_use",
        ["tool_use"],
    ),
    "P03-no-calls": ({"content": "x", "tool_calls": []}, "tool_calls", {}, "end_turn", ["text"]),
    "2.5-tool-calls": (
        {"content": "x", "tool_calls": [call("a")]},
        "tool_calls",
        {},
        "tool_use",
        ["text", "tool_use"],
    ),
    "2.5-function-call": (
        {"function_call": {"name": "Bash", "arguments": "{}"}},
        "function_call",
        {},
        "tool_use",
        ["tool_use"],
    ),
    "2.5-length": ({"content": "x"}, "length", {}, "max_tokens", ["text"]),
    "2.5-length-with-a-call": (
        {"tool_calls": [call("a")]},
        "length",
        {},
        "max_tokens",
        ["tool_use"],
    ),
    "P09-content-filter": ({"content": "x"}, "content_filter", {}, "refusal", ["text"]),
    "P09-refusal": ({"refusal": "no"}, "stop", {}, "refusal", ["text"]),
    "2.5-upper-case": ({"content": "x"}, "STOP", {}, "end_turn", ["text"]),
    "2.5-unknown": ({"content": "x"}, "bored", {}, "end_turn", ["text"]),
    "2.5-unknown-with-a-call": (
        {"tool_calls": [call("a")]},
        "bored",
        {},
        "tool_use",
        ["tool_use"],
    ),
    "2.5-null": ({"content": "x"}, None, {}, "end_turn", ["text"]),
    "2.5-null-with-a-call": (
        {"tool_calls": [call("a")]},
        None,
        {},
        "tool_use",
        ["tool_use"],
    ),
    "2.2-nothing": ({"content": ""}, "stop", {}, "end_turn", []),
}


@pytest.mark.parametrize(
    ("message", "reason", "fields", "expected", "blocks"), ENDINGS.values(), ids=ENDINGS
)
async def test_ending(
    serve: Serve,
    build: Build,
    *,
    message: dict[str, Any],
    reason: Any,
    fields: dict[str, Any],
    expected: str,
    blocks: list[str],
    streams: bool,
) -> None:
    got = await answered(serve, build(message, reason, **fields), streams=streams)
    assert expected == got.message["stop_reason"]
    assert blocks == [block["type"] for block in got.content]
    if expected == "refusal":
        details = {"type": "refusal", "category": None, "explanation": None}
        assert details == got.message["stop_details"]


async def test_stop_sequence_that_the_backend_names(
    serve: Serve, build: Build, *, streams: bool
) -> None:
    reply = build({"content": "x"}, "stop", stop_reason="</a>")
    got = await answered(serve, reply, streams=streams, stop_sequences=["</a>"])
    ending = (got.message["stop_reason"], got.message["stop_sequence"])
    assert ("stop_sequence", "</a>") == ending


def without_id(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "id"}


IDS: dict[str, list[str | None]] = {
    "P04-missing": [None],
    "P04-empty": [""],
    "P04-twice-the-same": ["c", "c"],
    "P04-bad-characters": ["functions.Bash:0"],
    "P04-too-long": ["x" * 65],
    "P04-of-the-history": ["old"],
}


@pytest.mark.parametrize("given", IDS.values(), ids=IDS)
async def test_call_ids_are_made_unique(
    serve: Serve, build: Build, given: list[str | None], *, streams: bool
) -> None:
    calls = [call(one) if one is not None else without_id(call("")) for one in given]
    rig = await serve(build({"tool_calls": calls}, "tool_calls"))
    old = [user("hi"), assistant(tool_use("old")), user(tool_result("old", "1"))]
    got = await rig.ask(request(*old, tools=TOOLS, stream=streams), history_ids={"old"})
    ids = [block["id"] for block in got.content]
    assert len(given) == len(set(ids))
    assert not ({"old", "functions.Bash:0", "x" * 65} & set(ids))


async def test_good_call_id_is_kept_p04(serve: Serve, build: Build, *, streams: bool) -> None:
    got = await answered(serve, build({"tool_calls": [call("call_7-a")]}), streams=streams)
    assert ["call_7-a"] == [block["id"] for block in got.content]


ARGUMENTS: dict[str, tuple[Any, Any]] = {
    "P05-empty": ("", {}),
    "P05-blank": ("  ", {}),
    "P05-null": (None, {}),
    "P05-object-in-a-string": ('"{\\"a\\":1}"', {"a": 1}),
    "P05-empty-object-first": ('{}{"a":1}', {"a": 1}),
    "P05-object-not-text": ({"a": 1}, {"a": 1}),
    "P05-trailing-brace": ('{"a":1}}', {"a": 1}),
    "P05-fence": ('```json\n{"a":1}\n```', {"a": 1}),
    "P05-plain": ('{"a": "é", "b": [1, null]}', {"a": "é", "b": [1, None]}),
    "P05-cut": ('{"a":', {"__unparsedToolInput": {"raw": '{"a":', "len": 5}}),
    "P05-words": ("rm -é", {"__unparsedToolInput": {"raw": "rm -é", "len": 6}}),
    "P05-list": ("[1]", {"__unparsedToolInput": {"raw": "[1]", "len": 3}}),
}


@pytest.mark.parametrize(("given", "expected"), ARGUMENTS.values(), ids=ARGUMENTS)
async def test_arguments(
    serve: Serve, build: Build, given: Any, expected: dict[str, Any], *, streams: bool
) -> None:
    got = await answered(
        serve, build({"tool_calls": [call("a", given)]}, "tool_calls"), streams=streams
    )
    assert [expected] == [block["input"] for block in got.content]


def named(kind: str) -> Reply:
    return fails(200, {"error": {"type": kind, "message": "m"}})


# Answers with status 200 that are errors, to status and type.
FAILURES: dict[str, tuple[Reply, int, str]] = {
    "P10-finish-error": (whole({"content": "x"}, "error"), 502, "api_error"),
    "P11-code": (fails(200, {"error": {"code": 429, "message": "m"}}), 429, "rate_limit_error"),
    "P11-text-code": (
        fails(200, {"error": {"code": "503", "message": "m"}}),
        529,
        "overloaded_error",
    ),
    "P11-type": (
        fails(200, {"error": {"type": "authentication_error", "message": "m"}}),
        401,
        "authentication_error",
    ),
    "P11-status-code": (fails(200, {"status_code": 429, "message": "m"}), 429, "rate_limit_error"),
    "4.1-rate-limit": (named("rate_limit_exceeded"), 429, "rate_limit_error"),
    "4.1-quota": (named("insufficient_quota"), 402, "billing_error"),
    "4.1-quota-a-minute": (named("token_quota_exceeded"), 429, "rate_limit_error"),
    "4.1-busy": (named("server_busy"), 529, "overloaded_error"),
    "4.1-timeout": (named("timeout_error"), 504, "timeout_error"),
    "4.1-model": (named("model_not_found"), 404, "not_found_error"),
    "4.1-bad-request": (named("BadRequestError"), 400, "invalid_request_error"),
    "4.1-unknown": (named("hiccup"), 500, "api_error"),
    "P11-first-event": (
        sse(data({"error": {"code": 429, "message": "m"}})),
        429,
        "rate_limit_error",
    ),
    "2.1-no-choices": (fails(200, {"id": "x", "choices": []}), 502, "api_error"),
    "2.1-nothing-in-it": (whole({"content": None}, None), 502, "api_error"),
    "2.4-call-without-a-name": (
        whole({"tool_calls": [call("a", "{}", "")]}, "tool_calls"),
        502,
        "api_error",
    ),
    "3.3-html": (fails(200, "<html>", content_type="text/html"), 502, "api_error"),
}


@pytest.mark.parametrize(("reply", "status", "kind"), FAILURES.values(), ids=FAILURES)
async def test_failure_with_status_200(
    serve: Serve, reply: Reply, status: int, kind: str, *, streams: bool
) -> None:
    got = await answered(serve, reply, streams=streams)
    assert not got.is_stream
    assert kind == got.error[1]
    # Section 2.5 leaves the status of its own errors open.
    assert status == got.status or (kind == "api_error" and got.status >= 500)


async def test_stream_that_ends_with_an_error_is_no_message_p10(serve: Serve) -> None:
    reply = sse(delta(content="x"), finish("error"), DONE)
    got = await answered(serve, reply, streams=False)
    assert "api_error" == got.error[1]
    assert got.status >= 500


async def test_thousand_answers_have_a_thousand_ids_p12(serve: Serve) -> None:
    rig = await serve(whole({"content": "x"}))

    async def hundred() -> set[str]:
        return {(await rig.ask(request())).message["id"] for _ in range(100)}

    ids = set().union(*await asyncio.gather(*[hundred() for _ in range(10)]))
    assert 1000 == len(ids)


async def test_length_with_half_a_call_says_so(serve: Serve) -> None:
    reply = sse(tool_delta(0, "a", "Bash", '{"com'), finish("length"), usage(), DONE)
    got = await answered(serve, reply, streams=True)
    assert "max_tokens" == got.message["stop_reason"]
    assert [{"__unparsedToolInput": {"raw": '{"com', "len": 5}}] == [
        block["input"] for block in got.content
    ]
