"""The builder gives legal streams only, and each event in its exact shape (section 3.1)."""

from __future__ import annotations

import json

import pytest

from llmproxyd.wire.stream import TRANSITIONS, IllegalMove, MessageStream, State, ping
from llmproxyd.wire.usage import Usage

MOVES = {
    "message_start": lambda stream: stream.start("msg_1", "m", Usage(7)),
    "start_text": lambda stream: stream.start_text(),
    "start_thinking": lambda stream: stream.start_thinking(),
    "start_tool_use": lambda stream: stream.start_tool_use("toolu_1", "Bash"),
    "text_delta": lambda stream: stream.text("x"),
    "thinking_delta": lambda stream: stream.thinking("x"),
    "signature_delta": lambda stream: stream.signature("s"),
    "input_json_delta": lambda stream: stream.tool_input("{}"),
    "block_stop": lambda stream: stream.stop_block(),
    "message_delta": lambda stream: stream.finish("end_turn", Usage(7, 3)),
}
# A way into every state.
PATHS = {
    State.IDLE: [],
    State.BETWEEN_BLOCKS: ["message_start"],
    State.AT_TEXT: ["message_start", "start_text"],
    State.IN_TEXT: ["message_start", "start_text", "text_delta"],
    State.IN_THINKING: ["message_start", "start_thinking"],
    State.SIGNED: ["message_start", "start_thinking", "signature_delta"],
    State.IN_TOOL: ["message_start", "start_tool_use"],
    State.DONE: ["message_start", "message_delta"],
}


def stream_in(state):
    stream = MessageStream()
    for move in PATHS[state]:
        MOVES[move](stream)
    assert state is stream.state
    return stream


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("state", PATHS, ids=lambda state: state.name)
def test_table_decides_what_may_come(state, move):
    stream = stream_in(state)
    if move not in TRANSITIONS[state]:
        with pytest.raises(IllegalMove, match=f"{move} while {state.value}"):
            MOVES[move](stream)
        assert state is stream.state
    else:
        MOVES[move](stream)
        expected = TRANSITIONS[state][move]
        assert stream.state is (State.DONE if expected is State.ENDING else expected)


def test_table_knows_every_state_and_move():
    assert set(State) == set(TRANSITIONS)
    assert set(MOVES) | {"message_stop"} == {
        move for moves in TRANSITIONS.values() for move in moves
    }


@pytest.mark.parametrize(
    ("state", "write"),
    [
        (State.IN_TEXT, MessageStream.text),
        (State.IN_THINKING, MessageStream.thinking),
        (State.IN_THINKING, MessageStream.signature),
        (State.IN_TOOL, MessageStream.tool_input),
    ],
)
def test_empty_delta_is_refused(state, write):
    with pytest.raises(IllegalMove, match="empty"):
        write(stream_in(state), "")


def payload(frame):
    assert frame.wire == b"event: " + frame.event.encode() + b"\ndata: " + frame.data + b"\n\n"
    assert b"\n" not in frame.data
    return json.loads(frame.data)


def test_message_start():
    frame = MessageStream().start("msg_1", 'a "model"', Usage(7, 1))
    assert {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": 'a "model"',
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 7,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 1,
            },
        },
    } == payload(frame)


@pytest.mark.parametrize(
    ("start", "block"),
    [
        (MessageStream.start_text, {"type": "text", "text": ""}),
        (MessageStream.start_thinking, {"type": "thinking", "thinking": "", "signature": ""}),
        (
            lambda stream: stream.start_tool_use("toolu_1", 'Ba"sh'),
            {"type": "tool_use", "id": "toolu_1", "name": 'Ba"sh', "input": {}},
        ),
    ],
)
def test_block_start(start, block):
    frame = start(stream_in(State.BETWEEN_BLOCKS))
    assert {"type": "content_block_start", "index": 0, "content_block": block} == payload(frame)


@pytest.mark.parametrize("text", ["x", 'a"\\\n\u2028é😀\x00', "</script>"])
@pytest.mark.parametrize(
    ("state", "write", "kind", "field"),
    [
        (State.IN_TEXT, MessageStream.text, "text_delta", "text"),
        (State.IN_THINKING, MessageStream.thinking, "thinking_delta", "thinking"),
        (State.IN_THINKING, MessageStream.signature, "signature_delta", "signature"),
        (State.IN_TOOL, MessageStream.tool_input, "input_json_delta", "partial_json"),
    ],
)
def test_delta(state, write, kind, field, text):
    frame = write(stream_in(state), text)
    delta = {"type": kind, field: text}
    assert {"type": "content_block_delta", "index": 0, "delta": delta} == payload(frame)


def test_indices_count_up():
    stream = stream_in(State.BETWEEN_BLOCKS)
    assert 0 == stream.blocks
    for index in range(12):
        assert not stream.is_open
        assert index == payload(stream.start_tool_use(f"t{index}", "f"))["index"]
        assert stream.is_open
        assert index == payload(stream.tool_input("{}"))["index"]
        assert index == payload(stream.stop_block())["index"]
        assert index + 1 == stream.blocks


def test_start_is_told():
    stream = MessageStream()
    assert not stream.is_started
    stream.start("msg_1", "m", Usage())
    assert stream.is_started


@pytest.mark.parametrize(
    ("more", "delta"),
    [
        ({}, {"stop_reason": "end_turn", "stop_sequence": None}),
        ({"stop_sequence": "END"}, {"stop_reason": "end_turn", "stop_sequence": "END"}),
        (
            {"stop_details": {"type": "refusal"}},
            {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": {"type": "refusal"}},
        ),
    ],
)
def test_end(more, delta):
    closing, stop = stream_in(State.BETWEEN_BLOCKS).finish("end_turn", Usage(7, 3, 2, 1, 5), **more)
    assert {
        "type": "message_delta",
        "delta": delta,
        "usage": {
            "input_tokens": 7,
            "output_tokens": 3,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": 1,
            "output_tokens_details": {"thinking_tokens": 5},
        },
    } == payload(closing)
    assert {"type": "message_stop"} == payload(stop)


def test_ping():
    assert b'event: ping\ndata: {"type": "ping"}\n\n' == ping().wire
    assert {"type": "ping"} == payload(ping())
