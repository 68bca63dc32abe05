"""Server-sent events: any split, any line end, every field (section 3.3)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.errors import BrokeProtocol
from llmproxyd.wire.sse import MAX_EVENT_BYTES, SSEDecoder, SSEEvent, parse_event

STREAM = b": hi\n\ndata: one\n\nevent: error\ndata: two\ndata: lines\nid: 7\n\nretry: 5\n\n"


def fields(event: SSEEvent) -> tuple[str, bytes, bytes, bool]:
    return event.event, event.data, event.error, event.has_data


def decoded(pieces: list[bytes]) -> list[SSEEvent]:
    decoder = SSEDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    last = decoder.end()
    return events if last is None else [*events, last]


def with_data(pieces: list[bytes]) -> list[tuple[str, bytes, bytes, bool]]:
    return [fields(event) for event in decoded(pieces) if event.has_data]


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: x\n\n", ("", b"x", b"", True)),
        (b"data:x\n\n", ("", b"x", b"", True)),
        (b"data:  x\n\n", ("", b" x", b"", True)),
        (b"data\n\n", ("", b"", b"", True)),
        (b"data:\n\n", ("", b"", b"", True)),
        (b"data: \n\n", ("", b"", b"", True)),
        (b"data: a\ndata: b\n\n", ("", b"a\nb", b"", True)),
        (b"data: a\ndata:\n\n", ("", b"a\n", b"", True)),
        (b"event: e\ndata: x\n\n", ("e", b"x", b"", True)),
        (b"event:e\ndata: x\n\n", ("e", b"x", b"", True)),
        (b"event: e\r\ndata: x\r\n\r\n", ("e", b"x", b"", True)),
        (b"data: x\nevent: e\n\n", ("e", b"x", b"", True)),
        (b"event: e\n\n", ("e", b"", b"", False)),
        (b"event: a\nevent: b\ndata: x\n\n", ("b", b"x", b"", True)),
        (b"event: \xff\ndata: x\n\n", ("\ufffd", b"x", b"", True)),
        (b'error: {"a":1}\n\n', ("", b"", b'{"a":1}', True)),
        (b": comment\n\n", ("", b"", b"", False)),
        (b"id: 1\nretry: 2\n\n", ("", b"", b"", False)),
        (b"nonsense\n\n", ("", b"", b"", False)),
        (b"\n\n", ("", b"", b"", False)),
        (b"data: a\rdata: b\r\r", ("", b"a\nb", b"", True)),
        (b"\ndata: x\n\n", ("", b"x", b"", True)),
    ],
)
def test_fields_of_an_event(raw, expected):
    assert expected == fields(parse_event(raw))
    assert raw == parse_event(raw).raw


def test_raw_bytes_are_those_that_came():
    assert STREAM == b"".join(event.raw for event in decoded([STREAM]))
    assert STREAM == b"".join(event.raw for event in decoded([bytes([byte]) for byte in STREAM]))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_split_and_line_ends_make_no_difference(line_end, size):
    data = STREAM.replace(b"\n", line_end)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert with_data([STREAM]) == with_data(pieces)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"data: x", b"data", b":c", b"event: e", b"\n", b"\r", b"\r\n", b"\n\n", b"\xef"]
        ),
        max_size=20,
    ),
    st.lists(st.integers(0, 12), max_size=12),
)
def test_any_bytes_in_any_split_give_the_same_events(parts, sizes):
    data = b"".join(parts)
    assert with_data([data]) == with_data(cut(data, sizes))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_byte_order_mark_is_skipped(size):
    data = b"\xef\xbb\xbfdata: x\n\n"
    assert [("", b"x", b"", True)] == with_data(
        [data[at : at + size] for at in range(0, len(data), size)]
    )


def test_code_point_in_two_reads_stays_whole():
    data = "data: é😀\n\n".encode()
    assert ["é😀"] == [event[1].decode() for event in with_data([bytes([byte]) for byte in data])]


@pytest.mark.parametrize("rest", [b"data: x", b"data: x\n", b"event: e\ndata: x", b"event: e"])
def test_open_event_is_given_at_the_end(rest):
    decoder = SSEDecoder()
    assert [] == decoder.feed(rest)
    assert decoder.end() is not None
    assert decoder.end() is None


@pytest.mark.parametrize("rest", [b"", b"\n", b": comment", b"id: 1", b"\xef\xbb"])
def test_nothing_open_at_the_end(rest):
    decoder = SSEDecoder()
    decoder.feed(rest)
    assert decoder.end() is None


LIMIT = "the backend sent one event above 16 MiB"


def test_event_of_the_largest_size_is_accepted():
    data = b"data: " + b"x" * (MAX_EVENT_BYTES - 8) + b"\n\n"
    assert [data] == [event.raw for event in decoded([data])]
    assert [data] == [event.raw for event in decoded([data[:-1], data[-1:]])]


@pytest.mark.parametrize("read_size", [1 << 16, 1 << 30])
@pytest.mark.parametrize("is_ended", [True, False])
def test_larger_event_is_refused_in_any_split(read_size, is_ended):
    data = b"data: a\n\ndata: " + b"x" * MAX_EVENT_BYTES + (b"\n\ndata: b\n\n" if is_ended else b"")
    decoder = SSEDecoder()
    events = []

    def decode():
        for at in range(0, len(data), read_size):
            events.extend(decoder.feed(data[at : at + read_size]))
        decoder.end()

    with pytest.raises(BrokeProtocol, match=LIMIT):
        decode()
    assert [b"a"] == [event.data for event in events]
    with pytest.raises(BrokeProtocol, match=LIMIT):
        decoder.feed(b"data: c\n\n")
    with pytest.raises(BrokeProtocol, match=LIMIT):
        decoder.end()


def test_large_event_in_small_reads_is_linear():
    decoder = SSEDecoder()
    piece = b"x" * 1024
    decoder.feed(b"data: ")
    started = time.process_time()
    for _ in range(15 * 1024):
        assert [] == decoder.feed(piece)
    assert 1 == len(decoder.feed(b"\n\n"))
    assert time.process_time() - started < 5


def test_many_events_in_one_read_are_linear():
    data = b"data: x\n\n" * 200_000
    started = time.process_time()
    assert 200_000 == len(SSEDecoder().feed(data))
    assert time.process_time() - started < 5
