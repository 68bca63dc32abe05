"""Streamed answers: cases S01 to S16 of the translation spec, and the end of a stream."""

from __future__ import annotations

import json

import pytest

from llmproxyd.wire.fold import fold
from llmproxyd.wire.sse import MAX_EVENT_BYTES
from tests.dialects.openai_chat import grammar
from tests.dialects.openai_chat.upstream import (
    DONE,
    USAGE,
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
    usage_chunk,
)

HELLO = (
    chunk({"role": "assistant"}),
    said("He"),
    said("llo"),
    chunk({}, "stop"),
    usage_chunk(),
    DONE,
)
CUT = "[test] upstream closed the stream before finishing"


def test_s01_text_becomes_a_whole_stream():
    answer = decode(*HELLO)
    assert "STttEDZ" == answer.word
    assert [text_block("Hello")] == answer.content
    assert "end_turn" == answer.message["stop_reason"]
    assert 10 == answer.events[-2]["usage"]["input_tokens"]
    assert 3 == answer.events[-2]["usage"]["output_tokens"]
    assert "claude-x" == answer.message["model"]


def test_s02_name_in_pieces_opens_one_block():
    answer = decode(
        called(name="Ba", call_id="a"),
        called(name="sh"),
        called('{"co'),
        called('mmand":1}'),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert "SUuuEDZ" == answer.word
    assert [tool_block({"command": 1})] == answer.content
    assert "tool_use" == answer.message["stop_reason"]


def test_s03_two_calls_become_two_blocks_one_after_another():
    answer = decode(
        called('{"a":1}', name="Bash", call_id="a"),
        called('{"b":2}', name="Read", call_id="b", index=1),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert "SUuEUuEDZ" == answer.word
    assert [tool_block({"a": 1}), tool_block({"b": 2}, "Read")] == answer.content


def test_s04_blank_text_before_a_call_is_no_block():
    answer = decode(said("\n\n"), called("{}", name="Bash"), chunk({}, "tool_calls"), DONE)
    assert [tool_block({})] == answer.content


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_s05_split_and_line_ends_make_no_difference(line_end, size):
    body = b"".join((*HELLO[:2], said("é\u2028😀"), called("{}", name="Bash"), *HELLO[3:]))
    data = body.replace(b"\n", line_end)
    decoder = make_exchange().decoder(head())
    answer = feed(decoder, [data[at : at + size] for at in range(0, len(data), size)])
    assert decode(body).wire == answer.wire


def test_s06_comments_change_nothing():
    comment = b": OPENROUTER PROCESSING\n\n"
    with_comments = [part for piece in HELLO for part in (comment, piece)]
    assert decode(*HELLO).wire == decode(*with_comments).wire


def test_s07_end_after_finish_reason_without_done_is_clean():
    assert [text_block("x")] == decode(said("x"), chunk({}, "stop")).content


def test_s07_end_before_finish_reason_is_a_failure_and_closes_nothing():
    answer = decode(said("x"))
    assert "STt" == answer.word
    assert CUT == answer.failure.message
    assert not answer.decoder.is_done


def test_s08_error_in_the_middle_ends_with_its_type():
    error = event({"error": {"message": "x", "code": 503}})
    answer = decode(said("He"), error + said("llo"), DONE)
    assert "STt" == answer.word
    assert (529, "overloaded_error", "[test] x") == (
        answer.failure.status,
        answer.failure.kind,
        answer.failure.message,
    )


def test_s12_last_usage_replaces_earlier_ones():
    counts = [{"prompt_tokens": 9, "completion_tokens": tokens} for tokens in (5, 6, 7)]
    answer = decode(*(chunk({"content": "x"}, usage=usage) for usage in counts), DONE)
    assert 7 == answer.message["usage"]["output_tokens"]
    assert answer.decoder.usage is not None
    assert not answer.decoder.usage.is_estimated


def test_s12_missing_usage_is_estimated():
    answer = decode(said("x"), DONE)
    usage = answer.decoder.usage
    assert usage is not None
    assert usage.is_estimated
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert usage.input_tokens == answer.message["usage"]["input_tokens"]


def test_s13_thinking_and_text_alternate_in_order_of_arrival():
    answer = decode(thought("r"), said("t"), thought("r2"), chunk({}, "stop"), DONE)
    assert "SKkgETtEKkgEDZ" == answer.word
    assert [thinking_block("r"), text_block("t"), thinking_block("r2")] == answer.content
    assert all(
        block["signature"].startswith("llmproxyd.")
        for block in answer.message["content"]
        if block["type"] == "thinking"
    )


def test_s14_request_without_stream_gets_the_aggregate_of_the_events():
    answer = decode(*HELLO, body={"stream": False})
    assert answer.message == json.loads(fold(answer.frames))


def test_s15_json_answer_to_a_streaming_request_becomes_events():
    answer = decode_json(completion({"content": "hi"}))
    assert "STtEDZ" == answer.word


def test_s16_call_without_arguments_has_no_delta():
    answer = decode(called(name="Bash", call_id="a"), chunk({}, "tool_calls"), DONE)
    assert "SUEDZ" == answer.word
    assert "tool_use" == answer.message["stop_reason"]
    assert "a" == answer.message["content"][0]["id"]


def test_first_event_that_is_an_error_leaves_no_frames():
    answer = decode(event({"error": {"message": "slow down", "type": "rate_limit_exceeded"}}))
    assert [] == answer.frames
    assert (429, "rate_limit_error") == (answer.failure.status, answer.failure.kind)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"event: error\ndata: it broke\n\n", "[test] it broke"),
        (b'event: error\ndata: {"message": "it broke"}\n\n', "[test] it broke"),
        (b'error: {"code":500,"message":"it broke","type":"server_error"}\n\n', "[test] it broke"),
        (event({"object": "error", "message": "it broke", "code": 500}), "[test] it broke"),
        (event({"detail": "it broke"}), "[test] it broke"),
    ],
    ids=["named", "named-flat", "llama.cpp", "vllm", "fastapi"],
)
def test_error_events_of_every_shape(data, message):
    assert message == decode(said("x") + data).failure.message


@pytest.mark.parametrize(
    "data",
    [
        b"data: {broken\n\n",
        b"data: [1,2]\n\n",
        b'data: "text"\n\n',
        b"data: null\n\n",
        b"data: <html>\n\n",
        b'data: {"choices":' + b"[" * 5000 + b"\n\n",
    ],
)
def test_event_that_is_no_json_object_breaks_the_stream(data):
    answer = decode(said("x") + data + said("y"), DONE)
    assert "STt" == answer.word
    assert (502, "api_error") == (answer.failure.status, answer.failure.kind)


def test_empty_data_line_is_skipped():
    assert [text_block("xy")] == decode(
        said("x") + b"data:\n\ndata: \n\n" + said("y"), DONE
    ).content


def test_event_above_the_limit_breaks_the_stream():
    answer = decode(said("x"), b"data: " + b"x" * MAX_EVENT_BYTES, b"y")
    assert "STt" == answer.word
    assert "[test] the backend sent one event above 16 MiB" == answer.failure.message


def test_event_above_the_limit_at_the_end_of_the_body():
    answer = decode(said("x") + b"data: " + b"x" * MAX_EVENT_BYTES)
    assert "[test] the backend sent one event above 16 MiB" == answer.failure.message


@pytest.mark.parametrize("failure", [b"data: {broken\n\n", event({"error": "late"})])
def test_failure_after_finish_reason_ends_cleanly(failure):
    answer = decode(said("x"), chunk({}, "stop"), failure)
    assert [text_block("x")] == answer.content
    assert ("error_after_finish",) == answer.decoder.notes


def test_nothing_is_read_after_done():
    answer = decode(said("x") + DONE + said("y") + event({"error": "late"}))
    assert [text_block("x")] == answer.content
    assert [] == answer.decoder.feed(said("z"))
    assert [] == answer.decoder.end()


@pytest.mark.parametrize("tail", [b"data: [DONE]", b"data: [DONE]\n", b"data:  [DONE] "])
def test_done_without_blank_line_counts_at_the_end(tail):
    assert [text_block("x")] == decode(said("x") + tail).content


def test_whole_event_without_blank_line_counts_at_the_end():
    answer = decode(said("x"), chunk({"content": "y"}, "stop").rstrip())
    assert [text_block("xy")] == answer.content


def test_half_an_event_at_the_end_does_not_count():
    assert CUT == decode(said("x"), chunk({}, "stop").rstrip()[:-1]).failure.message
    assert CUT == decode(said("x"), b"event: x").failure.message


def test_error_line_without_blank_line_counts_at_the_end():
    assert "[test] boom" == decode(said("x"), b'error: {"message":"boom"}').failure.message


def test_content_beside_finish_reason_and_usage_is_not_lost():
    answer = decode(chunk({"content": "all"}, "stop", usage=USAGE), DONE)
    assert [text_block("all")] == answer.content
    assert 3 == answer.message["usage"]["output_tokens"]


def test_text_and_call_after_finish_reason_still_count():
    answer = decode(
        chunk({}, "stop"), said("late"), called('{"a":1}', name="Bash"), usage_chunk(), DONE
    )
    assert [text_block("late"), tool_block({"a": 1})] == answer.content


def test_waits_for_usage_between_finish_reason_and_the_end():
    decoder = make_exchange().decoder(head())
    assert not decoder.waits_for_usage
    decoder.feed(said("x"))
    assert not decoder.waits_for_usage
    decoder.feed(chunk({}, "stop"))
    assert decoder.waits_for_usage
    decoder.feed(usage_chunk())
    assert decoder.waits_for_usage
    decoder.feed(DONE)
    assert not decoder.waits_for_usage


def test_settle_ends_cleanly_without_usage():
    decoder = make_exchange().decoder(head())
    frames = decoder.feed(said("x") + chunk({}, "stop")) + decoder.settle()
    grammar.check(grammar.parse(b"".join(frame.wire for frame in frames)))
    assert decoder.is_done
    assert [] == decoder.settle()


def test_settle_does_nothing_before_finish_reason():
    decoder = make_exchange().decoder(head())
    decoder.feed(said("x"))
    assert [] == decoder.settle()
    assert not decoder.is_done


def test_usage_is_known_while_the_answer_runs():
    decoder = make_exchange().decoder(head())
    assert decoder.usage is None
    decoder.feed(said("x" * 400))
    assert decoder.usage is not None
    assert 100 == decoder.usage.output_tokens
    assert decoder.usage.is_estimated


def test_empty_stream_is_a_failure_without_frames():
    answer = decode(b"")
    assert [] == answer.frames
    assert CUT == answer.failure.message


def test_done_without_any_output_is_a_failure():
    answer = decode(chunk({"role": "assistant", "content": ""}), DONE)
    assert "S" == answer.word
    assert "[test] upstream ended its answer before it began" == answer.failure.message


def test_usage_chunk_first_begins_the_message():
    answer = decode(event({"choices": []}), said("x"), DONE)
    assert [text_block("x")] == answer.content


def test_json_labelled_as_a_stream_is_read_as_json():
    assert [text_block("hi")] == decode(completion({"content": "hi"})).content
