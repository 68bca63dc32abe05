r"""Incremental server-sent events decoder (WHATWG HTML, section 9.2.6, read 2026-11).

Rules of this file:

1. Bytes in, whole events out; any split of the same bytes gives the same events. Line ends are
   LF, CRLF or a lone CR, and may be cut between reads.
2. Every event keeps the exact bytes it came from (`raw`), so that pass-through can forward them
   untouched, comments included.
3. Nothing is decoded as text: events are cut at ASCII line ends, which never occur inside a
   UTF-8 sequence, so a code point split over two reads stays whole.

Nearly every read of nearly every provider holds whole events that end in LF LF and contain no CR:
one `data:` line, with or without an `event:` line before it. Those cases are a few `bytes.find` per
event; anything with a CR goes through the line scanner, anything else through `_parse_lines`.
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
    has_data: bool = True


class SSEDecoder:
    """Feed it bytes as they arrive; it returns the events that they complete.

    Raises:
        BrokeProtocol: from `feed` and `end`, once an event has grown above `MAX_EVENT_BYTES`. The
            events before it are returned first, so the split of the bytes makes no difference.
    """

    __slots__ = ("_failure", "_is_first", "_pending")

    def __init__(self) -> None:
        self._pending = bytearray()  # the event that is not complete yet
        self._is_first = True
        self._failure: BrokeProtocol | None = None

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Events completed by `data`, in order."""
        if self._failure is not None:
            raise self._failure
        if self._is_first:
            return self._feed_first(data)
        pending = self._pending
        if pending:
            # Join only when an end is near: a 16 MiB event in small reads stays linear.
            if not _BLANK_LINE.search(bytes(pending[-2:]) + data):
                return self._keep(data, [])
            data = bytes(pending) + data
            pending.clear()
        events: list[SSEEvent] = []
        event_end = _event_end if b"\r" in data else _lf_event_end
        start = 0
        while (end := event_end(data, start)) != -1:
            if end - start > MAX_EVENT_BYTES:
                break
            events.append(parse_event(data[start:end]))
            start = end
        return self._keep(data[start:], events) if start < len(data) else events

    def _feed_first(self, data: bytes) -> list[SSEEvent]:
        data = bytes(self._pending) + data
        self._pending.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._pending += data
            return []
        self._is_first = False
        return self.feed(data.removeprefix(_BOM))

    def _keep(self, rest: bytes, events: list[SSEEvent]) -> list[SSEEvent]:
        """Wait for the end of `rest`, unless it has none within the limit."""
        self._pending += rest
        if len(self._pending) > MAX_EVENT_BYTES:
            self._failure = BrokeProtocol(
                f"the backend sent one event above {MAX_EVENT_BYTES >> 20} MiB"
            )
            self._pending.clear()
            if not events:
                raise self._failure
        return events

    def end(self) -> SSEEvent | None:
        """The event left open when the connection ended, if it holds any field."""
        if self._failure is not None:
            raise self._failure
        rest = bytes(self._pending)
        self._pending.clear()
        event = parse_event(rest)
        return event if event.has_data or event.event else None


def _lf_event_end(data: bytes, start: int) -> int:
    """`_event_end` for data without any CR."""
    end = data.find(b"\n\n", start)
    return -1 if end == -1 else end + 2


def _event_end(data: bytes, start: int) -> int:
    """Offset just behind the first blank line after `start`, or -1.

    A blank line whose CR is the last byte counts at once; should the LF of a CRLF follow, it
    leads the next event, where a blank first line means nothing.
    """
    previous_end = -1
    for match in _LINE_END.finditer(data, start):
        if match.start() == previous_end:
            return match.end()
        previous_end = match.end()
    return -1


def parse_event(raw: bytes) -> SSEEvent:
    """Read the fields of one event's bytes."""
    if b"\r" not in raw:
        if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2:
            return SSEEvent("", raw[6:-2], b"", raw)
        if raw.startswith(b"event: "):
            at = raw.find(b"\n") + 1
            if raw.startswith(b"data: ", at) and raw.find(b"\n", at) == len(raw) - 2:
                return SSEEvent(_name(raw[7 : at - 1]), raw[at + 6 : -2], b"", raw)
    return _parse_lines(raw)


def _parse_lines(raw: bytes) -> SSEEvent:
    """`parse_event` for any shape."""
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
    return SSEEvent(_name(event), joined, error, raw, bool(data) or bool(error))


def _name(value: bytes) -> str:
    return value.decode("utf-8", "replace")
