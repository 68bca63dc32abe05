"""One block at a time, whatever comes in between (section 3.5)."""

from __future__ import annotations

import pytest

from tests.dialects.openai_chat.upstream import (
    DONE,
    called,
    chunk,
    completion,
    decode,
    decode_json,
    event,
    feed,
    head,
    make_exchange,
    said,
    text_block,
    thinking_block,
    thought,
    tool_block,
    unparsed,
)

BASH = called('{"a":', name="Bash", call_id="a")
READ = called('{"b":', name="Read", call_id="b", index=1)
TOO_MUCH = "[test] upstream sent too much text out of order"


def test_second_call_waits_until_the_first_is_complete():
    decoder = make_exchange().decoder(head())
    assert ["content_block_start", "content_block_delta"] == names(decoder.feed(BASH)[1:])
    assert [] == names(decoder.feed(READ))
    assert [] == names(decoder.feed(called("2", index=1)))
    assert ["content_block_delta"] == names(decoder.feed(called("1")))
    assert [
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
    ] == names(decoder.feed(called("}")))
    assert ["content_block_delta"] == names(decoder.feed(called("}", index=1)))
    assert ["content_block_stop", "message_delta", "message_stop"] == names(decoder.feed(DONE))


def names(frames):
    return [frame.event for frame in frames]


def test_interleaved_calls_keep_their_arguments():
    pieces = [BASH, READ, called("1"), called("2", index=1), called("}"), called("}", index=1)]
    assert [tool_block({"a": 1}), tool_block({"b": 2}, "Read")] == decode(*pieces, DONE).content


def test_three_calls_wait_in_order_of_arrival():
    pieces = [
        BASH,
        READ,
        called('{"c":3}', name="Read", call_id="c", index=2),
        called("2}", index=1),
        called("1}"),
    ]
    answer = decode(*pieces, DONE)
    assert [{"a": 1}, {"b": 2}, {"c": 3}] == [block["input"] for block in answer.content]


def test_text_and_thinking_inside_a_call_wait_behind_it():
    answer = decode(BASH, said("t"), said("u"), thought("r"), said("v"), called("1}"), DONE)
    assert [
        tool_block({"a": 1}),
        text_block("tu"),
        thinking_block("r"),
        text_block("v"),
    ] == answer.content


def test_text_after_a_complete_call_goes_out_at_once():
    decoder = make_exchange().decoder(head())
    decoder.feed(called('{"a":1}', name="Bash"))
    assert [
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
    ] == names(decoder.feed(said("t")))


def test_bare_empty_object_may_still_be_replaced_so_others_wait():
    decoder = make_exchange().decoder(head())
    decoder.feed(called("{}", name="Bash"))
    assert [] == decoder.feed(said("t"))
    answer = feed(decoder, [called('{"a":1}'), DONE])
    assert ["content_block_delta", "content_block_stop"] == names(answer.frames)[:2]


def test_calls_that_all_begin_first():
    pieces = [
        called(name="Bash", call_id="a"),
        called(name="Read", call_id="b", index=1),
        called('{"a":1}'),
        called('{"b":2}', index=1),
    ]
    assert [tool_block({"a": 1}), tool_block({"b": 2}, "Read")] == decode(*pieces, DONE).content


def test_name_is_whole_when_another_call_begins():
    decoder = make_exchange().decoder(head())
    assert ["message_start"] == names(decoder.feed(called(name="Bash")))
    assert [] == names(decoder.feed(said("x")))
    assert ["content_block_start"] == names(decoder.feed(called(name="Read", index=1)))


def test_call_without_a_name_is_left_out_and_what_waited_is_not():
    answer = decode(called('{"a":1}'), said("x"), called('{"b":2}', name="Read", index=1), DONE)
    assert [text_block("x"), tool_block({"b": 2}, "Read")] == answer.content
    assert ("dropped:nameless_tool_call",) == answer.decoder.notes


def test_only_a_call_without_a_name_is_a_failure():
    answer = decode(called('{"a":1}'), chunk({}, "tool_calls"), DONE)
    assert "S" == answer.word
    assert "[test] upstream returned a tool call without a name" == answer.failure.message


def test_junk_behind_arguments_is_noted():
    answer = decode(called('{"a":1}', name="Bash"), called("}"), DONE)
    assert [tool_block({"a": 1})] == answer.content
    assert ("dropped:text_after_tool_arguments",) == answer.decoder.notes


def test_junk_for_a_closed_call_changes_nothing():
    answer = decode(called('{"a":1}', name="Bash"), said("x"), called("}"), said("y"), DONE)
    assert [tool_block({"a": 1}), text_block("xy")] == answer.content


def test_call_cut_before_its_arguments_is_left_out():
    answer = decode(said("x"), called(name="Bash"), chunk({}, "length"), DONE)
    assert [text_block("x")] == answer.content
    assert "max_tokens" == answer.message["stop_reason"]
    assert ("dropped:cut_tool_call",) == answer.decoder.notes


def test_cut_call_stays_raw():
    answer = decode(BASH, chunk({}, "length"), DONE)
    assert [tool_block(unparsed('{"a":'))] == answer.content


def test_failure_closes_and_flushes_nothing():
    answer = decode(BASH, READ, said("x"), event({"error": {"message": "gone"}}))
    assert "SUu" == answer.word
    assert "[test] gone" == answer.failure.message


@pytest.mark.parametrize(
    ("finish", "expected"), [("tool_calls", {"a": [1]}), ("length", unparsed('{"a":[1'))]
)
def test_repair_adds_a_missing_tail_but_not_to_a_cut_answer(finish, expected):
    flags = {"repair_args": True}
    answer = decode(BASH, called("[1"), chunk({}, finish), DONE, flags=flags)
    assert [tool_block(expected)] == answer.content
    call = {"function": {"name": "Bash", "arguments": '{"a":[1'}}
    whole = decode_json(completion({"tool_calls": [call]}, finish), flags=flags)
    assert [tool_block(expected)] == whole.content


def test_repairing_backend_still_gets_calls_in_order():
    pieces = [BASH, READ, called("1}"), said("x"), called("2}", index=1)]
    answer = decode(*pieces, DONE, flags={"repair_args": True})
    assert [tool_block({"a": 1}), tool_block({"b": 2}, "Read"), text_block("x")] == answer.content


@pytest.mark.parametrize(
    "piece",
    [said("x" * (1 << 20)), thought("x" * (1 << 20)), called("x" * (1 << 20), index=1)],
    ids=["text", "thinking", "call"],
)
def test_what_waits_is_bounded(piece):
    answer = decode(BASH, *[piece] * 20)
    assert TOO_MUCH == answer.failure.message
    assert "SUu" == answer.word


def test_number_of_calls_is_bounded():
    calls = [{"index": index, "function": {"name": "Bash"}} for index in range(20_000)]
    assert TOO_MUCH == decode(chunk({"tool_calls": calls})).failure.message


def test_arguments_that_are_no_object_are_bounded():
    answer = decode(called("x", name="Bash"), *[called("x" * (1 << 20))] * 20)
    assert TOO_MUCH == answer.failure.message


def test_live_arguments_are_not_bounded():
    piece = called("x" * (1 << 20))
    answer = decode(called('{"a":"', name="Bash"), *[piece] * 20, called('"}'), DONE)
    assert 20 << 20 == len(answer.content[0]["input"]["a"])
