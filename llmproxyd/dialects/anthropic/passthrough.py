"""A genuine Messages stream, forwarded byte for byte and only looked at.

Rules of this file:

1. The frames' `wire` joined are the upstream's bytes: comments, CRLF, a byte order mark, unknown
   events and white space included.
2. Only `message_start` and `message_delta` are decoded, for the token counts, and `error`. All
   other events cost one comparison of their name.
3. Comments and pings before the first real event wait for it, so that a stream that begins with
   an error can still become an HTTP status, or another backend's answer.
4. Bytes that are not a whole event are forwarded only behind a complete answer: after half an
   event, the client could not read the error event that follows.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxyd.dialects.anthropic.errors import broke, read_error_event
from llmproxyd.dialects.anthropic.tally import Tally
from llmproxyd.errors import BrokeProtocol, UpstreamError
from llmproxyd.spi import Call, ResponseHead
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.sse import SSEDecoder, SSEEvent
from llmproxyd.wire.usage import Usage

_BOM = b"\xef\xbb\xbf"

_decode = msgspec.json.Decoder().decode

# Events that need no look: nearly all of a stream.
_PLAIN = frozenset({"content_block_delta", "content_block_start", "content_block_stop", "ping"})


class ExactStream:
    """Decoder of one genuine stream. See `spi.ResponseDecoder`."""

    def __init__(self, call: Call, head: ResponseHead) -> None:
        self._call = call
        self._head = head
        self._sse = SSEDecoder()
        self._tally = Tally()
        self._unframed = bytearray()  # read, but not in a frame yet
        self._lead = b""  # what came before the first real event
        self._is_begun = False
        self._has_stop_reason = False
        self.is_done = False
        self.failure: UpstreamError | None = None

    @property
    def usage(self) -> Usage | None:
        """Token counts known so far."""
        return self._tally.usage

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes."""
        if self.failure is not None:
            return []
        try:
            events = self._sse.feed(data)
        except BrokeProtocol as error:
            self.failure = broke(self._call, error.message)
            return []
        framed = sum([len(event.raw) for event in events])
        if self._unframed or framed != len(data):
            self._unframed += data
            if events and not (self._is_begun or self._lead) and self._unframed.startswith(_BOM):
                self._lead = _BOM
                framed += len(_BOM)
            del self._unframed[:framed]
        return self._frames(events) if self._is_begun else self._begin(events)

    def end(self) -> list[Frame]:
        """The upstream closed the body: what is left, if the answer is complete."""
        if self.failure is not None:
            return []
        try:
            event = self._sse.end()
        except BrokeProtocol as error:
            self.failure = broke(self._call, error.message)
            return []
        rest = bytes(self._unframed)
        frames = [Frame("", b"", rest)] if rest else []
        if event is not None and _object(event.data):
            whole = msgspec.structs.replace(event, raw=rest)
            frames = self._frames([whole]) if self._is_begun else self._begin([whole])
        self.is_done |= self._has_stop_reason
        return frames if self._is_complete() else []

    def _is_complete(self) -> bool:
        """At the end of the stream: it is done, or else it has failed."""
        if not self.is_done and self.failure is None:
            self.failure = broke(self._call, "the backend closed the stream before its end")
        return self.failure is None

    def _begin(self, events: list[SSEEvent]) -> list[Frame]:
        """Frames from the first real event on, which carries all that came before it."""
        for position, event in enumerate(events):
            frame = self._look(event)
            if not event.has_data or frame.event == "ping":
                self._lead += frame.wire
            elif frame.event == "error":
                payload = event.data or event.error
                self.is_done = False  # nothing has begun, so nothing is complete
                self.failure = read_error_event(self._call, self._head, payload)
                return []
            else:
                self._is_begun = True
                first = Frame(frame.event, frame.data, self._lead + frame.wire)
                return [first, *self._frames(events[position + 1 :])]
        return []

    def _frames(self, events: list[SSEEvent]) -> list[Frame]:
        return [
            Frame(event.event, event.data, event.raw)
            if event.event in _PLAIN
            else self._look(event)
            for event in events
        ]

    def _look(self, event: SSEEvent) -> Frame:
        """The frame of an event that may matter, and what it tells."""
        payload = _object(event.data)
        name = event.event or str(payload.get("type") or "")
        if event.error or (not name and payload.get("error")):
            name = "error"
        match name:
            case "message_start":
                message = payload.get("message")
                self._tally.add(message.get("usage") if isinstance(message, dict) else None)
            case "message_delta":
                delta = payload.get("delta")
                self._has_stop_reason |= isinstance(delta, dict) and bool(delta.get("stop_reason"))
                self._tally.add(payload.get("usage"))
            case "message_stop" | "error":
                self.is_done = True
            case _:
                pass
        return Frame(name, event.data, event.raw)


def _object(data: bytes) -> dict[str, Any]:
    """The payload of an event; empty when it is no JSON object."""
    try:
        value = _decode(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
