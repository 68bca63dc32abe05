"""An imitated Messages stream, made legal event by event (translation spec, sections 0 and 8).

    message_start · blocks in order · message_delta · message_stop      or: failure

`blocks.py` repairs the blocks. This file repairs what is around them: a fresh message id, the
model that was asked for, the stop reason, the token counts, and the end. A stream that stops
before its ending is a failure, never a clean end made up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import msgspec

from llmproxyd.dialects.anthropic.blocks import BlockQueue
from llmproxyd.dialects.anthropic.errors import broke, read_error_event
from llmproxyd.dialects.anthropic.estimate import estimate_or_zero
from llmproxyd.dialects.anthropic.source import Event, frame_of, remember
from llmproxyd.dialects.anthropic.tally import Tally
from llmproxyd.errors import BadRequest, BrokeProtocol, UpstreamError
from llmproxyd.spi import Call, ResponseHead
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.messages import decode_body
from llmproxyd.wire.sse import SSEDecoder, SSEEvent
from llmproxyd.wire.tokens import estimate_output_tokens
from llmproxyd.wire.usage import Usage

_decode = msgspec.json.Decoder().decode

_MESSAGE_ID_CHARS = 24
_MESSAGE_ID = re.compile(r"msg_[A-Za-z0-9_]{20,}")

_STOP_REASONS = frozenset(
    {
        "compaction",
        "end_turn",
        "max_tokens",
        "model_context_window_exceeded",
        "pause_turn",
        "refusal",
        "stop_sequence",
        "tool_use",
    }
)
# Chat Completions' words, leaked by servers that translate.
_LEAKED_REASONS = {"length": "max_tokens", "content_filter": "refusal"}
_FAILED_REASONS = frozenset({"error", "abort", "network_error"})
# Where a tool call may end in the middle of its input.
_CUT_REASONS = frozenset({"max_tokens", "length", "model_context_window_exceeded"})


class RepairedStream:
    """Decoder of one imitated stream. See `spi.ResponseDecoder`."""

    def __init__(self, call: Call, head: ResponseHead) -> None:
        self._call = call
        self._head = head
        self._sse = SSEDecoder()
        self._tally = Tally()
        self._blocks = BlockQueue(partial(_tool_ids, call.request.raw), call.entropy)
        self._is_started = False
        self._is_ending = False  # message_delta is out
        self._is_estimated = False
        self._ending: Event = {}  # a message_delta without a stop reason
        self.usage: Usage | None = None
        self.is_done = False
        self.failure: UpstreamError | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes."""
        if self.is_done or self.failure is not None:
            return []
        try:
            events = self._sse.feed(data)
        except BrokeProtocol as error:
            self.failure = broke(self._call, error.message)
            return []
        frames: list[Frame] = []
        for event in events:
            frames += self._event(event)
        return frames

    def end(self) -> list[Frame]:
        """The upstream closed the body: the missing `message_stop`, or a failure."""
        frames: list[Frame] = []
        try:
            event = self._sse.end()
        except BrokeProtocol as error:
            self.failure = self.failure or broke(self._call, error.message)
            event = None
        if event is not None and _is_json(event.data):
            frames += self._event(event)
        if self.is_done or self.failure is not None:
            return frames
        if self._is_ending:
            return frames + self._stop({"type": "message_stop"})
        self.failure = broke(self._call, "the backend closed the stream before its end")
        return frames

    def apply(self, payload: Event) -> list[Frame]:
        """Frames of one decoded event, whose `type` says what it is."""
        if self.is_done or self.failure is not None:
            return []
        handle = self._HANDLERS.get(payload["type"], RepairedStream._other)
        return handle(self, payload)

    def _event(self, event: SSEEvent) -> list[Frame]:
        """Frames of one event of the stream."""
        if self.is_done or self.failure is not None:
            return []
        data = event.data.strip()
        if event.error or (event.event == "error" and data):
            return self._fail(data or event.error)
        if data in (b"", b"[DONE]"):
            return []
        try:
            payload = _decode(data)
            if isinstance(payload, dict):
                remember(payload, event)
            return self._payload(payload, event.event)
        except (ValueError, RecursionError):
            self.failure = broke(self._call, "the backend sent an event that is not JSON")
            return []

    def _payload(self, payload: Any, name: str) -> list[Frame]:
        """Frames of a payload, whose type may stand in the event's name only."""
        if not isinstance(payload, dict):
            return []
        if not isinstance(payload.get("type"), str):
            payload = {"type": name} | payload | {"type": name}
        return self.apply(payload)

    def _start(self, event: Event) -> list[Frame]:
        """`message_start`, once; with an id of its own, since clients merge turns of equal ids."""
        message = event.get("message")
        message = dict(message) if isinstance(message, dict) else {}
        self._count(message.get("usage"))
        if self._is_started:
            return []
        self._is_started = True
        own: Event = {
            "id": self._message_id(message.get("id")),
            "type": "message",
            "role": "assistant",
            "model": self._call.request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _usage_on_wire(
                message.get("usage"), self.usage, ("input_tokens", "output_tokens")
            ),
        }
        return [frame_of({**event, "message": {**message, **own}})]

    def _message_id(self, given: Any) -> str:
        """`given`, if it is one of Anthropic's kind that no answer has had before."""
        if isinstance(given, str) and _MESSAGE_ID.fullmatch(given) and self._call.claim_id(given):
            return given
        return f"msg_{self._call.entropy(_MESSAGE_ID_CHARS)}"

    def _block(self, event: Event) -> list[Frame]:
        return [] if self._is_ending else self._implied_start() + self._blocks.apply(event)

    def _implied_start(self) -> list[Frame]:
        return [] if self._is_started else self._start({"type": "message_start"})

    def _message_delta(self, event: Event) -> list[Frame]:
        delta = event.get("delta")
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        self._count(event.get("usage"))
        if self._is_ending:
            return []
        frames = self._implied_start()
        if not isinstance(reason, str) or not reason:
            self._ending = event
            return frames
        if reason in _FAILED_REASONS:
            self.failure = broke(self._call, f"the backend ended the answer with {reason!r}")
            return []
        return frames + self._end_message(event, reason)

    def _message_stop(self, event: Event) -> list[Frame]:
        frames: list[Frame] = []
        if not self._is_ending:
            if self._blocks.is_empty:
                self.failure = broke(self._call, "the backend ended the answer without any content")
                return []
            frames = self._end_message({"type": "message_delta", **self._ending}, "")
        return frames if self.failure else frames + self._stop(event)

    def _stop(self, event: Event) -> list[Frame]:
        self.is_done = True
        return [frame_of(event)]

    def _end_message(self, event: Event, reason: str) -> list[Frame]:
        """Close the blocks and send the one `message_delta`."""
        blocks = self._blocks
        if blocks.has_broken_tool and reason not in _CUT_REASONS:
            self.failure = broke(self._call, "the backend ended the answer inside a tool call")
            return []
        if blocks.has_nameless_tool and blocks.is_empty:
            self.failure = broke(self._call, "upstream returned a tool call without a name")
            return []
        frames = blocks.finish()
        self._is_ending = True
        self._is_estimated = self._tally.is_empty
        if self._is_estimated:
            self._estimate()
        final = _stop_reason(reason, has_tool=blocks.has_tool)
        given = event.get("delta")
        delta = {**given} if isinstance(given, dict) else {}
        delta["stop_reason"] = final
        if final != "stop_sequence":
            delta["stop_sequence"] = None
        needed = () if self._is_estimated else ("output_tokens",)
        usage = _usage_on_wire(event.get("usage"), self.usage, needed)
        return [*frames, frame_of({**event, "delta": delta, "usage": usage})]

    def _other(self, payload: Event) -> list[Frame]:
        """A ping, an event of a future version, or another format altogether."""
        kind: str = payload["type"]
        if payload.get("error"):
            return self._error(payload)
        if "choices" in payload:
            self.failure = broke(self._call, "the backend answered in the Chat Completions format")
            return []
        if not self._is_started or not kind or not kind.isprintable():
            return []  # a line break in the name would end the event line
        if kind == "ping" and self._blocks.hold(payload):
            return []
        return [frame_of(payload)]

    def _error(self, event: Event) -> list[Frame]:
        return self._fail(frame_of(event).data)

    def _fail(self, data: bytes) -> list[Frame]:
        """An error event; behind the ending it changes nothing (section 3.6)."""
        if self._is_ending:
            return self._stop({"type": "message_stop"})
        self.failure = read_error_event(self._call, self._head, data)
        return []

    def _count(self, usage: Any) -> None:
        self._tally.add(usage)
        self.usage = self._tally.usage

    def _estimate(self) -> None:
        """Count tokens ourselves: at a constant 0 clients never compact (section 2.6)."""
        self.usage = Usage(
            input_tokens=estimate_or_zero(self._call),
            output_tokens=estimate_output_tokens(self._blocks.pieces),
            is_estimated=True,
        )

    _HANDLERS: ClassVar[dict[str, Callable[[RepairedStream, Event], list[Frame]]]] = {
        "message_start": _start,
        "content_block_start": _block,
        "content_block_delta": _block,
        "content_block_stop": _block,
        "message_delta": _message_delta,
        "message_stop": _message_stop,
        "error": _error,
    }


def _stop_reason(reason: str, *, has_tool: bool) -> str:
    """A reason that clients know and that fits the blocks (invariants 5 and 7)."""
    reason = _LEAKED_REASONS.get(reason, reason)
    if reason in _STOP_REASONS - {"end_turn", "stop_sequence", "tool_use"}:
        return reason
    if has_tool:
        return "tool_use"
    return "stop_sequence" if reason == "stop_sequence" else "end_turn"


def _usage_on_wire(given: Any, known: Usage | None, needed: tuple[str, ...]) -> Event:
    """The backend's usage object if it has the `needed` counts, else with all four filled in."""
    if not isinstance(given, dict):
        return (known or Usage()).as_wire()
    if needed and all(type(given.get(name)) is int for name in needed):
        return given
    return {**given, **(known or Usage()).as_wire()}


def _tool_ids(raw: bytes) -> set[str]:
    """The tool_use ids of the conversation."""
    return set(_each_tool_id(raw))


def _each_tool_id(raw: bytes) -> Iterator[str]:
    try:
        messages = decode_body(raw).get("messages")
    except BadRequest:
        return
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_use":
                yield str(block.get("id"))


def _is_json(data: bytes) -> bool:
    try:
        _decode(data)
    except (ValueError, RecursionError):
        return False
    return True
