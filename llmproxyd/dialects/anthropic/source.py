"""The bytes that an event came in, kept beside it, so that what repair leaves alone goes on as it was.

A decoded event carries its `SSEEvent` under a key that no JSON of an API has; copies of the event
carry it along. When it is framed at last and still says the same, the backend's own bytes go out:
white space, comments and line ends included. A well-made stream passes through repair untouched.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxyd.wire.frames import Frame, make_frame
from llmproxyd.wire.sse import SSEEvent

Event = dict[str, Any]

_SOURCE = "\0source"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def remember(event: Event, source: SSEEvent) -> Event:
    """Let `event` carry the bytes that it was decoded from."""
    event[_SOURCE] = source
    return event


def source_of(event: Event) -> Event:
    """What `event` carries, to be merged into another event made in its place."""
    return {_SOURCE: event[_SOURCE]} if _SOURCE in event else {}


def frame_of(event: Event) -> Frame:
    """Frame `event`, in its own bytes if it was not changed. Takes what it carries off it."""
    source: SSEEvent | None = event.pop(_SOURCE, None)
    kind: str = event["type"]
    if source is not None and _is_framed_as(source, kind) and _decode(source.data) == event:
        return Frame(kind, source.data, source.raw)
    return make_frame(kind, _encode(event))


def _is_framed_as(source: SSEEvent, kind: str) -> bool:
    """It has its event line, and the blank line at its end."""
    return source.event == kind and source.raw.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
