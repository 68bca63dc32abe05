"""The streaming unit: one server-sent event toward the client."""

from __future__ import annotations

import msgspec

PING_WIRE = b'event: ping\ndata: {"type": "ping"}\n\n'


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event of a Messages stream.

    Attributes:
        event: event name (`message_start`, `content_block_delta`, …), or `"message"` for a
            whole non-streaming JSON answer, which is then the only frame.
        data: the payload, one line of JSON.
        wire: the bytes that go downstream, terminator included. In pass-through these are
            the upstream's own bytes; for `"message"` they equal `data`.
    """

    event: str
    data: bytes
    wire: bytes


def make_frame(event: str, data: bytes) -> Frame:
    """Frame `data` (one line of JSON) as an event called `event`."""
    return Frame(event, data, b"event: " + event.encode() + b"\ndata: " + data + b"\n\n")


def whole_message(body: bytes) -> Frame:
    """Wrap a complete JSON message, the answer to a request that did not stream."""
    return Frame("message", body, body)
