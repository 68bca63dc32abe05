r"""Incremental server-sent events decoder (WHATWG HTML, section 9.2.6, read 2026-11).

Rules of this file:

1. Bytes in, whole events out; any split of the same bytes gives the same events. Line ends are
   LF, CRLF or a lone CR, and may be cut between reads.
2. Every event keeps the exact bytes it came from (`raw`), so that pass-through can forward them
   untouched, comments included.
3. Nothing is decoded as text: events are cut at ASCII line ends, which never occur inside a
   UTF-8 sequence, so a code point split over two reads stays whole.

Nearly every read of nearly every provider holds whole events that end in LF LF and contain no
CR. That case is a `bytes.find` per event; anything with a CR goes through the line scanner.
"""

from __future__ import annotations

import re

import msgspec

from llmproxyd.errors import BrokeProtocol

# One event's limit. Providers send megabytes at most (base64 images in tool results).
MAX_EVENT_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANK_LINE = re.compile(rb"\n\n|\r\r|\n\r")


class SSEEvent(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event, or a run of comments without data.

    Attributes:
        event: value of the last `event:` line, or "".
        data: `data:` lines joined with LF; empty when there was none.
        error: value of an `error:` line (llama.cpp before 2025), or empty.
        raw: the bytes it was made from, terminator included.
        has_data: a `data` or `error` field was present; False for a block of comments.
    """

    event: str
    data: bytes
    error: bytes
    raw: bytes
    has_data: bool


class SSEDecoder:
    """Feed it bytes as they arrive; it returns the events that they complete.

    Raises from `feed`:
        BrokeProtocol: one event grew above `MAX_EVENT_BYTES`.
    """

    __slots__ = ("_is_first", "_pending")

    def __init__(self) -> None:
        self._pending = bytearray()  # the event that is not complete yet
        self._is_first = True

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Events completed by `data`, in order."""
        if self._is_first:
            return self._feed_first(data)
        pending = self._pending
        if pending:
            # Join only when an end is near: a 16 MiB event in small reads stays linear.
            if not _BLANK_LINE.search(bytes(pending[-2:]) + data):
                pending += data
                _check_size(pending)
                return []
            data = bytes(pending) + data
            pending.clear()
        events: list[SSEEvent] = []
        start = 0
        while (end := _event_end(data, start)) != -1:
            events.append(parse_event(data[start:end]))
            start = end
        if start < len(data):
            pending += data[start:]
            _check_size(pending)
        return events

    def _feed_first(self, data: bytes) -> list[SSEEvent]:
        data = bytes(self._pending) + data
        self._pending.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._pending += data
            return []
        self._is_first = False
        return self.feed(data.removeprefix(_BOM))

    def end(self) -> SSEEvent | None:
        """The event left open when the connection ended, if it holds any field."""
        rest = bytes(self._pending)
        self._pending.clear()
        event = parse_event(rest)
        return event if event.has_data or event.event else None


def _check_size(pending: bytearray) -> None:
    if len(pending) > MAX_EVENT_BYTES:
        raise BrokeProtocol(f"the backend sent one event above {MAX_EVENT_BYTES >> 20} MiB")


def _event_end(data: bytes, start: int) -> int:
    """Offset just behind the first blank line after `start`, or -1.

    A blank line whose CR is the last byte counts at once; should the LF of a CRLF follow, it
    leads the next event, where a blank first line means nothing.
    """
    if b"\r" not in data:
        end = data.find(b"\n\n", start)
        return -1 if end == -1 else end + 2
    previous_end = -1
    for match in _LINE_END.finditer(data, start):
        if match.start() == previous_end:
            return match.end()
        previous_end = match.end()
    return -1


def parse_event(raw: bytes) -> SSEEvent:
    """Read the fields of one event's bytes."""
    event = b""
    error = b""
    data: list[bytes] = []
    for line in _LINE_END.split(raw) if b"\r" in raw else raw.split(b"\n"):
        if line.startswith(b"data:"):
            data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            event = line[6:].removeprefix(b" ")
        elif line.startswith(b"error:"):
            error = line[6:].removeprefix(b" ")
        elif line == b"data":
            data.append(b"")
    joined = data[0] if len(data) == 1 else b"\n".join(data)
    return SSEEvent(event.decode("utf-8", "replace"), joined, error, raw, bool(data) or bool(error))
