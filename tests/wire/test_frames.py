from __future__ import annotations

from llmproxyd.wire.frames import PING_WIRE, Frame, make_frame, whole_message


def test_frame_is_an_event_with_its_name():
    frame = make_frame("message_stop", b'{"type":"message_stop"}')
    assert (
        Frame(
            "message_stop",
            b'{"type":"message_stop"}',
            b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        )
        == frame
    )


def test_whole_message_goes_out_as_it_is():
    assert Frame("message", b"{}", b"{}") == whole_message(b"{}")


def test_ping_is_one_event():
    assert b'event: ping\ndata: {"type": "ping"}\n\n' == PING_WIRE
