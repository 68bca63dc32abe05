"""R01 to R06, R10 to R12: the system prompt, the order of messages, and what belongs together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.vocabulary import (
    assistant,
    call,
    request,
    system,
    text,
    tool_result,
    tool_use,
    user,
)

BILLING = "x-anthropic-billing-header: cc_version=1; cch=abc"
USER: dict[str, Any] = {"role": "user", "content": "hi"}
REMINDER = "<system-reminder>\nbe brief\n</system-reminder>"
NOTHING_RECORDED = "(no result was recorded for this tool call)"
PREFILL = (
    "This model does not support assistant message prefill. "
    "The conversation must end with a user message."
)


def said(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def result(call_id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def called(*call_ids: str, content: str | None = None) -> dict[str, Any]:
    calls = [call(call_id) for call_id in call_ids]
    return {"role": "assistant", "content": content, "tool_calls": calls}


CACHED = {"cache_control": {"type": "ephemeral"}}
SYSTEMS: dict[str, tuple[Any, str | None]] = {
    "R01-blocks": ([text("A"), text(" "), text("B", **CACHED)], "A\n\nB"),
    "R01-string": ("A", "A"),
    "R01-nothing-left": ([text("  "), text("")], None),
    "R02-billing-line": ([text(BILLING), text("You are X")], "You are X"),
    "R02-billing-line-alone": ([text(BILLING)], None),
}


@pytest.mark.parametrize(("given", "expected"), SYSTEMS.values(), ids=SYSTEMS)
async def test_system_prompt(serve: Serve, given: Any, expected: str | None) -> None:
    rig = await serve()
    await rig.ask(request(user("hi"), system=given))
    first = [{"role": "system", "content": expected}] if expected else []
    assert [*first, USER] == rig.upstream.messages
    assert b"cache_control" not in rig.upstream.request.raw


MESSAGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "R03-inline": ([user("hi"), system("be brief")], [said(f"hi\n\n{REMINDER}")]),
    "R03-already-wrapped": ([user("hi"), system(REMINDER)], [said(f"hi\n\n{REMINDER}")]),
    "R03-blocks": ([user("hi"), system([text("be brief")])], [said(f"hi\n\n{REMINDER}")]),
    "R03-only-system": ([system("be brief")], [said(REMINDER)]),
    "R03-unknown-role": ([{"role": "ctx", "content": "x"}], [said("x")]),
    "R04-order-of-calls": (
        [
            user("hi"),
            assistant("ok", tool_use("a"), tool_use("b")),
            user("note", tool_result("b", "2"), tool_result("a", "1")),
        ],
        [USER, called("a", "b", content="ok"), result("a", "1"), result("b", "2"), said("note")],
    ),
    "R04-no-text": (
        [user("hi"), assistant(tool_use("a")), user(tool_result("a", "1"))],
        [USER, called("a"), result("a", "1")],
    ),
    "R05-missing-result": (
        [user("hi"), assistant(tool_use("a"), tool_use("b")), user(tool_result("a", "1"))],
        [USER, called("a", "b"), result("a", "1"), result("b", NOTHING_RECORDED)],
    ),
    "R05-at-the-end": (
        [user("hi"), assistant(tool_use("a"))],
        [USER, called("a"), result("a", NOTHING_RECORDED)],
    ),
    "R05-two-results-for-one-call": (
        [
            user("hi"),
            assistant(tool_use("a")),
            user(tool_result("a", "1"), tool_result("a", "2")),
        ],
        [USER, called("a"), result("a", "1\n2")],
    ),
    "R06-unknown-call": (
        [user(tool_result("zz", "x"))],
        [said("[Result of an earlier tool call zz]\nx")],
    ),
    "R06-result-comes-late": (
        [
            user("hi"),
            assistant(tool_use("a")),
            user(tool_result("a", "1")),
            assistant("ok"),
            user(tool_result("a", "2")),
        ],
        [
            USER,
            called("a"),
            result("a", "1"),
            {"role": "assistant", "content": "ok"},
            said("[Result of an earlier tool call a]\n2"),
        ],
    ),
    "R10-dropped-message": (
        [user("hi"), assistant({"type": "redacted_thinking", "data": "…"}), user("you")],
        [said("hi\n\nyou")],
    ),
    "1.7-surrogates-and-nul": ([user("a\ud83eb\x00c")], [said("a\ufffdbc")]),
    "R11-empty-text": ([user(text("")), user("x")], [said("x")]),
    "R11-blank-text": ([user(text(" \n"), text("x"))], [said("x")]),
}


@pytest.mark.parametrize(("given", "expected"), MESSAGES.values(), ids=MESSAGES)
async def test_messages(
    serve: Serve, given: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    rig = await serve()
    answer = await rig.ask(request(*given))
    assert 200 == answer.status, answer.raw
    assert expected == rig.upstream.messages


async def test_system_message_goes_up_in_place_where_that_is_known_to_work_r03(
    serve: Serve,
) -> None:
    rig = await serve(quirks={"mid_system": "native"})
    await rig.ask(request(user("hi"), system("be brief")))
    assert [USER, {"role": "system", "content": "be brief"}] == rig.upstream.messages


async def test_system_message_is_hoisted_where_it_must_come_first_r03(serve: Serve) -> None:
    rig = await serve(quirks={"mid_system": "hoist"})
    await rig.ask(request(user("hi"), system("be brief"), system="A"))
    assert [{"role": "system", "content": "A\n\nbe brief"}, USER] == rig.upstream.messages


async def test_duplicate_call_ids_of_the_history_are_told_apart(serve: Serve) -> None:
    rig = await serve()
    turn = [assistant(tool_use("c")), user(tool_result("c", "1"))]
    again = [assistant(tool_use("c")), user(tool_result("c", "2"))]
    await rig.ask(request(user("hi"), *turn, *again))
    expected = [USER, called("c"), result("c", "1"), called("c_2"), result("c_2", "2")]
    assert expected == rig.upstream.messages


@pytest.mark.parametrize("foreign", ["functions.Bash:0", "x" * 65])
async def test_foreign_call_ids_are_made_valid_and_stay_the_same(
    serve: Serve, foreign: str
) -> None:
    rig = await serve()
    turn = [assistant(tool_use(foreign)), user(tool_result(foreign, "1"))]
    await rig.ask(request(user("hi"), *turn))
    await rig.ask(request(user("hi"), *turn, assistant("x"), user("y")))
    ids = set()
    for received in rig.upstream.requests:
        asked, answered = received.body["messages"][1:3]
        ids |= {asked["tool_calls"][0]["id"], answered["tool_call_id"]}
    assert 1 == len(ids)
    assert 29 == len(ids.pop())


REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "R11-nothing-left": ([user("")], "messages: at least one message is required"),
    "R12-prefill": ([user("hi"), assistant("Sure, ")], PREFILL),
}


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
async def test_refused_here(serve: Serve, given: list[dict[str, Any]], message: str) -> None:
    rig = await serve()
    answer = await rig.ask(request(*given))
    assert (400, "invalid_request_error") == answer.error[:2]
    assert message in answer.error[2]
    assert [] == rig.upstream.requests


PREFILLS = {
    "vllm": ({"continue_final_message": True, "add_generation_prompt": False}, "vllm"),
    "llamacpp": ({}, "llamacpp"),
}


@pytest.mark.parametrize(("fields", "kind"), PREFILLS.values(), ids=PREFILLS)
async def test_prefill_is_continued_r12(serve: Serve, fields: dict[str, Any], kind: str) -> None:
    rig = await serve(kind=kind)
    await rig.ask(request(user("hi"), assistant("Sure, ")))
    assert {"role": "assistant", "content": "Sure,"} == rig.upstream.messages[-1]
    controls = ("continue_final_message", "add_generation_prompt")
    assert fields == {key: rig.upstream.body[key] for key in controls if key in rig.upstream.body}
