"""Streams to messages and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.errors import BrokeProtocol
from llmproxyd.wire.fold import fold, parse_tool_input, unfold
from llmproxyd.wire.frames import Frame, make_frame, whole_message

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "r", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "t", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"a": [1, "é"]}},
        {"type": "tool_use", "id": "toolu_2", "name": "Bash", "input": {}},
        {"type": "server_tool_use", "id": "s_1", "name": "web_search", "input": {"q": "x"}},
        {"type": "text", "text": ""},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 30, "service_tier": "standard"},
    "container": {"id": "c"},
    "stop_details": None,
    "unknown": {"kept": True},
}


def frames_of(*events):
    return [make_frame(event["type"], json.dumps(event).encode()) for event in events]


START = {
    "type": "message_start",
    "message": {**MESSAGE, "content": [], "usage": {"input_tokens": 9}},
}
END = (
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
)


def block(index, content, *deltas):
    return (
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    )


def folded(*events):
    return json.loads(fold(frames_of(START, *events, *END)))


def test_message_survives_unfold_and_fold():
    assert MESSAGE == json.loads(fold(unfold(MESSAGE)))


def test_unfolded_start_shows_nothing_yet():
    start = json.loads(unfold(MESSAGE)[0].data)["message"]
    assert ([], None, None) == (start["content"], start["stop_reason"], start["stop_sequence"])
    assert {"input_tokens": 7, "output_tokens": 1, "service_tier": "standard"} == start["usage"]


def test_unfolded_blocks_carry_their_content_in_deltas():
    names = [(frame.event, json.loads(frame.data)) for frame in unfold(MESSAGE)]
    starts = [event["content_block"] for name, event in names if name == "content_block_start"]
    assert {"type": "thinking", "thinking": "", "signature": ""} == starts[0]
    assert {} == starts[3]["input"]
    deltas = [event["delta"]["type"] for name, event in names if name == "content_block_delta"]
    assert [
        "thinking_delta",
        "signature_delta",
        "text_delta",
        "input_json_delta",
        "input_json_delta",
    ] == deltas


def test_unfold_of_a_message_without_content_and_usage():
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    whole = json.loads(fold(unfold(message)))
    assert {"input_tokens": 0, "output_tokens": 0} == whole["usage"]
    assert [] == whole["content"]


def test_whole_message_is_returned_byte_for_byte():
    body = b'{ "id" : 1 }'
    frame = whole_message(body)
    assert (body, body, "message") == (frame.data, frame.wire, frame.event)
    assert body is fold([frame])


def test_text_and_thinking_are_joined():
    content = folded(
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "a"},
            {"type": "thinking_delta", "thinking": "b"},
            {"type": "signature_delta", "signature": "s"},
        ),
        *block(
            1,
            {"type": "text", "text": "x"},
            {"type": "text_delta", "text": "y"},
            {"type": "citations_delta", "citation": {"n": 1}},
            {"type": "new_delta", "what": 1},
        ),
    )["content"]
    assert [
        {"type": "thinking", "thinking": "ab", "signature": "s"},
        {"type": "text", "text": "xy", "citations": [{"n": 1}]},
    ] == content


def test_unknown_events_and_pings_are_ignored():
    message = folded({"type": "ping"}, {"type": "news"})
    assert [] == message["content"]
    assert "end_turn" == message["stop_reason"]
    assert {"input_tokens": 9, "output_tokens": 5} == message["usage"]


@pytest.mark.parametrize(
    "events",
    [
        [],
        [START],
        [START, *block(0, {"type": "text", "text": ""}), END[0]],
        [*END],
        [{"type": "ping"}],
    ],
)
def test_incomplete_stream_is_no_message(events):
    with pytest.raises(BrokeProtocol, match="ended before it was complete"):
        fold(frames_of(*events))


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "message_start"}],
        [
            START,
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "x"},
            },
        ],
        [START, {"type": "content_block_start", "index": 0}],
        [START, {"type": "content_block_stop", "index": 3}],
        [START, *block(0, {"type": "text", "text": ""}, {"type": "text_delta"})],
        [START, *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": 7})],
        [START, *block(0, {"type": "text", "text": 7}, {"type": "text_delta", "text": "x"})],
        [START, *block(0, "text", {"type": "text_delta", "text": "x"})],
        [START, {"type": "message_delta", "delta": None}],
        [START, {"type": "message_delta", "delta": {}, "usage": [1]}],
        [{"type": "message_start", "message": 7}, *END],
    ],
)
def test_stream_that_makes_no_sense_is_no_message(events):
    with pytest.raises(BrokeProtocol, match="does not make a message"):
        fold(frames_of(*events, *END))


@pytest.mark.parametrize("data", [b"{", b'{"message":"\xff"}'])
def test_frame_that_is_no_json_is_no_message(data):
    with pytest.raises(BrokeProtocol, match="does not make a message"):
        fold([Frame("message_start", data, b"")])


@pytest.mark.parametrize("text", ['{"a":1}', "{}", '{"é":"\\u2028"}'])
def test_tool_input_that_is_an_object(text):
    assert json.loads(text) == parse_tool_input(text)


@pytest.mark.parametrize("text", ["", '{"a":', "[1]", "7", "é", "[" * 100_000])
def test_tool_input_that_is_none(text):
    raw = {"raw": text, "len": len(text.encode("utf-8", "replace"))}
    assert {"__unparsedToolInput": raw} == parse_tool_input(text)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=9)),
            st.builds(
                lambda text: {"type": "thinking", "thinking": text, "signature": text[::-1]},
                st.text(max_size=9),
            ),
            st.builds(
                lambda value: {"type": "tool_use", "id": "t", "name": "n", "input": value},
                st.dictionaries(st.text(max_size=3), st.none() | st.text() | st.integers(-9, 9)),
            ),
            st.just({"type": "news", "any": [1, {"b": None}]}),
        ),
        max_size=5,
    )
)
def test_any_message_survives_unfold_and_fold(content):
    message = {**MESSAGE, "content": content}
    assert message == json.loads(fold(unfold(message)))
