"""The legal order of a Messages stream as a table, and a builder that refuses any other.

    message_start · ( block_start · block_delta* · block_stop )* · message_delta · message_stop
    ping anywhere before the end; or, after any prefix, error and nothing more

Rules of this file:

1. Every event of a translated answer is made here, so an illegal order can not be emitted.
   A move that is not in `TRANSITIONS` raises `IllegalMove`, which is a bug of the caller.
2. Blocks are strictly sequential, indices 0, 1, 2 …; the Python SDK appends on each start and
   the CLI executes a tool block as soon as it is closed, so nothing overlaps or reopens.
3. An empty delta is refused, and so is a text block without any: clients store it, and strict
   backends answer its replay with 400.

Payloads are byte templates around msgspec-encoded strings: about five times cheaper than
encoding a dict per delta (`tests/bench/README.md`).
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from llmproxyd.wire.frames import PING_WIRE, Frame, make_frame
from llmproxyd.wire.usage import Usage

_encode = msgspec.json.Encoder().encode


class State(Enum):
    """Where a stream stands."""

    __hash__ = object.__hash__  # Enum's own runs in Python, and every delta looks its state up

    IDLE = "idle"
    BETWEEN_BLOCKS = "between blocks"
    AT_TEXT = "before the first text"
    IN_TEXT = "in text"
    IN_THINKING = "in thinking"
    SIGNED = "thinking is signed"
    IN_TOOL = "in tool_use"
    ENDING = "message_delta sent"
    DONE = "done"


TRANSITIONS: dict[State, dict[str, State]] = {
    State.IDLE: {"message_start": State.BETWEEN_BLOCKS},
    State.BETWEEN_BLOCKS: {
        "start_text": State.AT_TEXT,
        "start_thinking": State.IN_THINKING,
        "start_tool_use": State.IN_TOOL,
        "message_delta": State.ENDING,
    },
    State.AT_TEXT: {"text_delta": State.IN_TEXT},
    State.IN_TEXT: {"text_delta": State.IN_TEXT, "block_stop": State.BETWEEN_BLOCKS},
    State.IN_THINKING: {
        "thinking_delta": State.IN_THINKING,
        "signature_delta": State.SIGNED,
    },
    State.SIGNED: {"block_stop": State.BETWEEN_BLOCKS},
    State.IN_TOOL: {"input_json_delta": State.IN_TOOL, "block_stop": State.BETWEEN_BLOCKS},
    State.ENDING: {"message_stop": State.DONE},
    State.DONE: {},
}


class IllegalMove(AssertionError):
    """The caller asked for an event that may not come here."""


class MessageStream:
    """Builds the frames of one answer. Each method is one event and returns its frame."""

    __slots__ = ("_delta_head", "_index", "state")

    def __init__(self) -> None:
        self.state = State.IDLE
        self._index = -1
        self._delta_head = b""

    @property
    def is_started(self) -> bool:
        """`message_start` is out."""
        return self.state is not State.IDLE

    @property
    def is_open(self) -> bool:
        """A content block is open."""
        return self.state in _OPEN

    @property
    def blocks(self) -> int:
        """How many content blocks have been started."""
        return self._index + 1

    def start(self, message_id: str, model: str, usage: Usage) -> Frame:
        """`message_start`; `usage` is what is known so far, usually an estimate."""
        self._move("message_start")
        return make_frame(
            "message_start",
            b'{"type":"message_start","message":{"id":%b,"type":"message","role":"assistant",'
            b'"model":%b,"content":[],"stop_reason":null,"stop_sequence":null,"usage":%b}}'
            % (_encode(message_id), _encode(model), _encode(usage.as_wire())),
        )

    def start_text(self) -> Frame:
        """Open a text block; the first `text` must follow before it is closed."""
        return self._start_block("start_text", b'{"type":"text","text":""}')

    def start_thinking(self) -> Frame:
        """Open a thinking block."""
        return self._start_block(
            "start_thinking", b'{"type":"thinking","thinking":"","signature":""}'
        )

    def start_tool_use(self, tool_id: str, name: str) -> Frame:
        """Open a tool_use block; its input follows as JSON text in `tool_input`."""
        return self._start_block(
            "start_tool_use",
            b'{"type":"tool_use","id":%b,"name":%b,"input":{}}' % (_encode(tool_id), _encode(name)),
        )

    def text(self, text: str) -> Frame:
        """A non-empty piece of text."""
        return self._delta("text_delta", b'"text_delta","text":', text)

    def thinking(self, text: str) -> Frame:
        """A non-empty piece of thinking."""
        return self._delta("thinking_delta", b'"thinking_delta","thinking":', text)

    def signature(self, signature: str) -> Frame:
        """Sign the open thinking block; it must be closed next."""
        return self._delta("signature_delta", b'"signature_delta","signature":', signature)

    def tool_input(self, partial_json: str) -> Frame:
        """A non-empty piece of the open tool's input, as JSON text."""
        return self._delta("input_json_delta", b'"input_json_delta","partial_json":', partial_json)

    def stop_block(self) -> Frame:
        """Close the open block. A closed tool_use block is executed by the client."""
        self._move("block_stop")
        return make_frame(
            "content_block_stop", b'{"type":"content_block_stop","index":%d}' % self._index
        )

    def finish(
        self,
        stop_reason: str,
        usage: Usage,
        *,
        stop_sequence: str | None = None,
        stop_details: dict[str, Any] | None = None,
    ) -> list[Frame]:
        """`message_delta` with the true usage, then `message_stop`."""
        self._move("message_delta")
        delta: dict[str, Any] = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
        if stop_details is not None:
            delta["stop_details"] = stop_details
        closing = make_frame(
            "message_delta",
            b'{"type":"message_delta","delta":%b,"usage":%b}'
            % (_encode(delta), _encode(usage.as_wire())),
        )
        self._move("message_stop")
        return [closing, make_frame("message_stop", b'{"type":"message_stop"}')]

    def _start_block(self, move: str, block: bytes) -> Frame:
        self._move(move)
        self._index += 1
        self._delta_head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":' % self._index
        )
        return make_frame(
            "content_block_start",
            b'{"type":"content_block_start","index":%d,"content_block":%b}' % (self._index, block),
        )

    def _delta(self, move: str, head: bytes, text: str) -> Frame:
        if not text:
            raise IllegalMove(f"empty {move}")
        self._move(move)
        wire = self._delta_head + head + _encode(text) + b"}}\n\n"
        return Frame("content_block_delta", wire[_DATA_AT:-2], wire)

    def _move(self, move: str) -> None:
        try:
            self.state = TRANSITIONS[self.state][move]
        except KeyError:
            raise IllegalMove(f"{move} while {self.state.value}") from None


_OPEN = frozenset({State.AT_TEXT, State.IN_TEXT, State.IN_THINKING, State.SIGNED, State.IN_TOOL})
_DATA_AT = len(b"event: content_block_delta\ndata: ")


def ping() -> Frame:
    """A keep-alive; legal at any time before the end, `message_start` not required."""
    return Frame("ping", b'{"type": "ping"}', PING_WIRE)
