"""What each part of a chunk becomes (sections 2.2 to 2.5 and 3.4)."""

from __future__ import annotations

from tests.dialects.openai_chat.upstream import (
    DONE,
    called,
    chunk,
    decode,
    said,
    text_block,
    thinking_block,
    thought,
    tool_block,
)


def test_one_chunk_with_complete_calls():
    calls = [
        {"id": "a", "function": {"name": "Bash", "arguments": '{"a":1}'}},
        {"id": "b", "function": {"name": "Read", "arguments": {"b": 2}}},
    ]
    answer = decode(chunk({"tool_calls": calls}, "stop"), DONE)
    assert "SUuEUuEDZ" == answer.word


def test_whole_message_in_a_chunk_is_read_when_there_is_no_delta():
    message = {"content": "x", "tool_calls": [{"function": {"name": "Bash"}}] * 2}
    answer = decode(chunk(choices=[{"message": message, "finish_reason": "stop"}]), DONE)
    assert [text_block("x"), tool_block({}), tool_block({})] == answer.content


def test_delta_wins_over_message():
    choice = {"delta": {"content": "x"}, "message": {"content": "x"}, "finish_reason": "stop"}
    assert [text_block("x")] == decode(chunk(choices=[choice]), DONE).content


def test_other_choices_are_ignored():
    other = {"index": 1, "delta": {"content": "no"}, "finish_reason": "error"}
    answer = decode(said("x"), chunk(choices=[other]), said("y"), DONE)
    assert [text_block("xy")] == answer.content


def test_refusal_is_text_and_the_stop_reason():
    answer = decode(said("I "), chunk({"refusal": "can not"}), chunk({}, "stop"), DONE)
    assert [text_block("I can not")] == answer.content
    assert "refusal" == answer.message["stop_reason"]
    assert "refusal" == answer.message["stop_details"]["type"]


def test_refusal_that_is_no_text_is_ignored():
    answer = decode(said("x"), chunk({"refusal": True}), DONE)
    assert "end_turn" == answer.message["stop_reason"]


def test_only_the_first_text_block_loses_its_leading_newlines():
    pieces = [said("\n"), said("\r\n\n a\n"), called('{"a":1}', name="Bash"), said("\nb ")]
    answer = decode(*pieces, DONE)
    assert [text_block(" a\n"), tool_block({"a": 1}), text_block("\nb ")] == answer.content


def test_blank_text_between_thinking_is_no_block():
    answer = decode(thought("a"), said("\n\n"), thought("b"), said("\n"), DONE)
    assert [thinking_block("ab")] == answer.content
    assert "end_turn" == answer.message["stop_reason"]


def test_blank_text_is_kept_before_more_text():
    assert [text_block("  a")] == decode(said("  "), said("a"), DONE).content


def test_thinking_alone_is_an_answer():
    assert [thinking_block("r")] == decode(thought("r"), DONE).content
