"""What becomes of reasoning (sections 1.9 and 2.3)."""

from __future__ import annotations

import pytest

from llmproxyd.wire.signature import sign
from tests.dialects.openai_chat.upstream import (
    DONE,
    Store,
    called,
    decode,
    said,
    text_block,
    thinking_block,
    thought,
    tool_block,
)

NOT_ASKED = {"thinking": None}
OMITTED = {"thinking": {"type": "adaptive", "display": "omitted"}}
CALL = called('{"a":1}', name="Bash", call_id="call_1")


def thinking_of(answer):
    return [block for block in answer.message["content"] if block["type"] == "thinking"]


def test_shown_thinking_is_signed_and_not_stored():
    store = Store()
    answer = decode(thought("a"), thought("b"), said("x"), DONE, reasoning=store)
    assert [{"type": "thinking", "thinking": "ab", "signature": sign("ab")}] == thinking_of(answer)
    assert {} == store


def test_omitted_thinking_has_only_its_signature_and_is_stored():
    store = Store()
    answer = decode(
        thought("a"), thought("b"), said("x"), thought("c"), DONE, body=OMITTED, reasoning=store
    )
    assert "SKgETtEKgEDZ" == answer.word
    assert [sign("ab"), sign("c")] == [block["signature"] for block in thinking_of(answer)]
    assert {sign("ab"): "ab", sign("c"): "c"} == store


def test_omitted_thinking_without_a_store():
    assert "SKgETtEDZ" == decode(thought("a"), said("x"), DONE, body=OMITTED).word


@pytest.mark.parametrize("body", [NOT_ASKED, {"thinking": {"type": "disabled"}}])
def test_thinking_that_nobody_asked_for_is_dropped(body):
    answer = decode(thought("a"), said("x"), thought("b"), said("y"), DONE, body=body)
    assert [text_block("xy")] == answer.content
    assert answer.decoder.usage.output_tokens >= 1


def test_dropped_thinking_counts_as_output():
    long = "word " * 400
    answer = decode(thought(long), said("x"), DONE, body=NOT_ASKED)
    assert 500 <= answer.decoder.usage.output_tokens


def test_dropped_thinking_before_a_call_is_stored_under_its_id():
    store = Store()
    second = called('{"b":2}', name="Read", call_id="call_2", index=1)
    answer = decode(
        thought("a"),
        thought("b"),
        CALL,
        second,
        DONE,
        body=NOT_ASKED,
        reasoning=store,
        flags={"reasoning_in": "reasoning"},
    )
    assert [tool_block({"a": 1}), tool_block({"b": 2}, "Read")] == answer.content
    assert {"call_1": "ab", "call_2": "ab"} == store


def test_dropped_thinking_is_not_stored_for_a_backend_that_never_gets_it_back():
    store = Store()
    decode(thought("a"), CALL, DONE, body=NOT_ASKED, reasoning=store)
    assert {} == store


def test_dropped_thinking_without_a_store():
    flags = {"reasoning_in": "reasoning"}
    answer = decode(thought("a"), CALL, DONE, body=NOT_ASKED, flags=flags)
    assert [tool_block({"a": 1})] == answer.content


def test_thinking_can_always_be_shown():
    answer = decode(thought("a"), DONE, body=NOT_ASKED, flags={"emit_thinking": "always"})
    assert [thinking_block("a")] == answer.content


def test_endless_reasoning_is_signed_but_not_kept():
    store = Store()
    piece = "x" * (1 << 20)
    answer = decode(*[thought(piece)] * 5, DONE, body=OMITTED, reasoning=store)
    assert [sign(piece * 5)] == [block["signature"] for block in thinking_of(answer)]
    assert {} == store
