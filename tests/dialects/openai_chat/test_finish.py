"""finish_reason to stop_reason: every row of section 2.5."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.finish import conclude, failure_kind, is_cut_short
from tests.dialects.openai_chat.upstream import (
    DONE,
    called,
    chunk,
    completion,
    decode,
    decode_json,
    said,
)

STOPPED = ["stop", "eos", "eos_token", "end_turn", "completed"]
CALLED = ["tool_calls", "function_call", "tool_use"]
EXHAUSTED = ["length", "max_tokens", "model_length"]
REFUSED = ["content_filter", "refusal", "sensitive"]
CALL = called('{"a":1}', name="Bash")


def ending(reason, **more):
    found = conclude(reason, **{"has_tool_use": False} | more)
    return found.stop_reason, found.stop_sequence, found.notes


@pytest.mark.parametrize("reason", [*STOPPED, "Stop", "STOP", ""])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("end_turn", None, ())),
        ({"has_tool_use": True}, ("tool_use", None, ())),
        ({"stop_sequence": "END"}, ("stop_sequence", "END", ())),
        ({"stop_sequence": "END", "has_tool_use": True}, ("tool_use", None, ())),
        ({"is_refusal": True}, ("refusal", None, ())),
    ],
)
def test_ordinary_end(reason, given, expected):
    assert expected == ending(reason, **given)


@pytest.mark.parametrize("reason", [*CALLED, "TOOL_CALLS"])
def test_end_with_calls(reason):
    assert ("tool_use", None, ()) == ending(reason, has_tool_use=True)
    assert ("end_turn", None, ("finish_reason_without_tool_call",)) == ending(reason)


@pytest.mark.parametrize("reason", [*EXHAUSTED, "MAX_TOKENS"])
@pytest.mark.parametrize("given", [{}, {"has_tool_use": True}, {"stop_sequence": "END"}])
def test_end_of_the_budget(reason, given):
    assert ("max_tokens", None, ()) == ending(reason, **given)
    assert is_cut_short(reason)


@pytest.mark.parametrize("reason", REFUSED)
@pytest.mark.parametrize("has_tool_use", [True, False])
def test_refusal_has_details(reason, has_tool_use):
    found = conclude(reason, has_tool_use=has_tool_use)
    assert "refusal" == found.stop_reason
    assert {"type": "refusal", "category": None, "explanation": None} == found.stop_details


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "end_turn"),
        ({"has_tool_use": True}, "tool_use"),
        ({"stop_sequence": "END"}, "stop_sequence"),
    ],
)
def test_unknown_reason_is_like_stop_with_a_note(given, expected):
    found = conclude("banana", **{"has_tool_use": False} | given)
    assert (expected, ("unknown_finish_reason",)) == (found.stop_reason, found.notes)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("error", "api_error"),
        ("Abort", "api_error"),
        ("network_error", "api_error"),
        ("insufficient_system_resource", "overloaded_error"),
        ("stop", None),
        ("", None),
    ],
)
def test_reasons_that_are_failures(reason, kind):
    assert kind == failure_kind(reason)


@pytest.mark.parametrize(
    ("reason", "status", "kind"),
    [
        ("error", 500, "api_error"),
        ("abort", 500, "api_error"),
        ("network_error", 500, "api_error"),
        ("insufficient_system_resource", 529, "overloaded_error"),
    ],
)
def test_failed_answer_has_no_ending(reason, status, kind):
    streamed = decode(said("x"), chunk({}, reason), DONE)
    assert "STt" == streamed.word
    assert (status, kind) == (streamed.failure.status, streamed.failure.kind)
    whole = decode_json(completion({"content": "x"}, reason))
    assert [] == whole.frames
    assert (status, kind) == (whole.failure.status, whole.failure.kind)


def test_failed_answer_tells_the_choices_own_error():
    choice = {"index": 0, "delta": {}, "finish_reason": "error"}
    error = {"code": 429, "message": "slow down"}
    answer = decode(chunk(choices=[choice | {"error": error}]))
    assert (429, "[test] slow down") == (answer.failure.status, answer.failure.message)


@pytest.mark.parametrize("reason", [None, ""])
@pytest.mark.parametrize(
    ("piece", "expected"), [(said("x"), "end_turn"), (CALL, "tool_use")], ids=["text", "call"]
)
def test_no_reason_but_done(reason, piece, expected):
    assert expected == decode(piece, chunk({}, reason), DONE).message["stop_reason"]


@pytest.mark.parametrize("reason", EXHAUSTED)
@pytest.mark.parametrize("arguments", ['{"a":1}', '{"a":'])
def test_budget_ends_in_a_call(reason, arguments):
    answer = decode(called(arguments, name="Bash"), chunk({}, reason), DONE)
    assert "SUuEDZ" == answer.word
    assert "max_tokens" == answer.message["stop_reason"]


def test_vllm_names_the_stop_sequence():
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": "stop", "stop_reason": "</a>"}
    message = decode(chunk(choices=[choice]), DONE, body={"stop_sequences": ["</a>"]}).message
    assert ("stop_sequence", "</a>") == (message["stop_reason"], message["stop_sequence"])


@pytest.mark.parametrize("stop_reason", [128001, "other", None, []])
def test_other_vllm_stop_reasons_are_ordinary(stop_reason):
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}
    answer = decode(chunk(choices=[choice | {"stop_reason": stop_reason}]), DONE)
    assert "end_turn" == answer.message["stop_reason"]


def test_first_of_several_reasons_counts():
    answer = decode(said("x"), chunk({}, "length"), chunk({}, "stop"), DONE)
    assert "max_tokens" == answer.message["stop_reason"]


@pytest.mark.parametrize("reason", [7, ["stop"], {"a": 1}, True])
def test_reason_of_a_wrong_type_is_none(reason):
    assert "end_turn" == decode(said("x"), chunk({}, reason), DONE).message["stop_reason"]
