from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.dialects.anthropic import passthrough
from llmproxyd.dialects.anthropic.passthrough import ExactStream
from llmproxyd.errors import BrokeProtocol, Rejected
from llmproxyd.wire import sse as sse_module
from llmproxyd.wire.usage import Usage
from tests.dialects.anthropic.calls import (
    SSE,
    STOP,
    block_start,
    block_stop,
    make_call,
    message_delta,
    message_start,
    sse,
    text,
)

PLAIN = sse(
    message_start(),
    block_start(0),
    text(0, "grüße"),
    block_stop(0),
    message_delta(),
    STOP,
)
OVERLOADED = {
    "type": "error",
    "error": {"type": "overloaded_error", "message": "Overloaded"},
    "request_id": "req_up",
}

STREAMS = {
    "plain": PLAIN,
    "byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "carriage returns": PLAIN.replace(b"\n", b"\r\n"),
    "lone carriage returns": PLAIN.replace(b"\n", b"\r"),
    "comments and pings first": b": hello\n\n" + sse({"type": "ping"}) + b":\n" + PLAIN,
    "comments between": PLAIN.replace(b"\n\n", b"\n\n: alive\n\n"),
    "unknown event": PLAIN + b'event: new\ndata: {"type":"new","x":1}\n\n',
    "data without names": sse(message_start(), message_delta(), STOP, named=False),
    "done marker": PLAIN + b"data: [DONE]\n\n",
    "no final blank line": PLAIN[:-1],
    "no final line end": PLAIN[:-2],
    "no message_stop": sse(message_start(), message_delta()),
    "trailing line ends": PLAIN + b"\n\r\n\n",
    "trailing comment": PLAIN + b": bye",
    "fields of no interest": PLAIN.replace(b"event:", b"id: 1\nretry: 5\nevent:"),
    "no space after the colon": PLAIN.replace(b"data: ", b"data:"),
    "late error": sse(message_start(), text(0, "x"), OVERLOADED),
    "a payload that is no object": PLAIN.replace(
        b"event: message_stop", b"data: 5\n\nevent: message_stop"
    ),
    "usage that is no object": sse(
        {"type": "message_start", "message": 5}, {"type": "message_delta", "delta": 5}, STOP
    ),
}


def decode(chunks):
    stream = ExactStream(make_call(), SSE)
    frames = [frame for chunk in chunks for frame in stream.feed(chunk)]
    return stream, frames + stream.end()


@pytest.mark.parametrize("raw", STREAMS.values(), ids=STREAMS)
def test_joined_frames_are_the_upstreams_bytes(raw):
    stream, frames = decode([raw])

    assert raw == b"".join(frame.wire for frame in frames)
    assert stream.failure is None
    assert stream.is_done


@pytest.mark.parametrize("raw", STREAMS.values(), ids=STREAMS)
def test_frames_are_the_same_byte_by_byte(raw):
    _, whole = decode([raw])
    _, single = decode([raw[at : at + 1] for at in range(len(raw))])

    assert [(f.event, f.data) for f in whole if f.data] == [
        (f.event, f.data) for f in single if f.data
    ]
    assert raw == b"".join(frame.wire for frame in single)


@settings(max_examples=100)
@given(st.sampled_from(sorted(STREAMS)), st.data())
def test_any_split_gives_the_same_bytes_and_usage(name, data):
    raw = STREAMS[name]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=6)))
    chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    stream, frames = decode(chunks)

    assert raw == b"".join(frame.wire for frame in frames)
    assert decode([raw])[0].usage == stream.usage


def test_usage_is_the_last_value_of_each_count():
    raw = sse(
        message_start(cache_read_input_tokens=100, cache_creation_input_tokens=3),
        message_delta(output_tokens=42, input_tokens=8),
        STOP,
    )

    stream, _ = decode([raw])

    assert Usage(8, 42, 100, 3) == stream.usage


def test_the_answer_is_done_at_message_stop_not_before():
    stream = ExactStream(make_call(), SSE)

    stream.feed(sse(message_start(), message_delta()))
    assert not stream.is_done
    stream.feed(sse(STOP))
    assert stream.is_done


@pytest.mark.parametrize("before", [b"", b": wait\n\n", sse({"type": "ping"})])
@pytest.mark.parametrize("named", [True, False])
def test_an_error_first_is_a_failure_with_its_status(before, named):
    stream, frames = decode([before + sse(OVERLOADED, named=named)])

    assert frames == []
    assert not stream.is_done
    assert isinstance(stream.failure, Rejected)
    assert (529, "overloaded_error") == (stream.failure.status, stream.failure.kind)
    assert stream.failure.can_fail_over
    assert stream.failure.verbatim is not None
    assert 529 == stream.failure.verbatim.status
    assert OVERLOADED == json.loads(stream.failure.verbatim.body)


def test_an_error_in_another_shape_first_is_a_failure_too():
    stream, _ = decode([b'data: {"error":{"message":"slow down","code":429}}\n\n'])

    assert isinstance(stream.failure, Rejected)
    assert 429 == stream.failure.status


def test_an_error_field_first_is_a_failure():
    stream, _ = decode([b'error: {"message":"loading","code":503}\n\n'])

    assert isinstance(stream.failure, Rejected)
    assert 529 == stream.failure.status


def test_a_late_error_passes_and_ends_the_answer():
    stream, frames = decode([sse(message_start(), OVERLOADED)])

    assert ["message_start", "error"] == [frame.event for frame in frames]
    assert stream.is_done
    assert stream.failure is None


@pytest.mark.parametrize(
    "raw",
    [
        b": nothing but comments\n\n",
        sse({"type": "ping"}),
        sse(message_start(), block_start(0), text(0, "x")),
        sse(message_start(), message_delta(None)),
        sse(message_start()) + b'event: content_block_delta\ndata: {"type":"content_bl',
        sse(message_start()) + sse(text(0, "x"))[:-2],
    ],
)
def test_a_stream_cut_off_is_a_failure_without_half_an_event(raw):
    stream, frames = decode([raw])

    assert isinstance(stream.failure, BrokeProtocol)
    assert not stream.is_done
    assert b"".join(frame.wire for frame in frames) in (b"", raw[: raw.rfind(b"\n\n") + 2])


def test_after_a_failure_nothing_is_decoded():
    stream, _ = decode([sse(OVERLOADED)])

    assert [] == stream.feed(PLAIN)
    assert [] == stream.end()


def test_an_endless_event_is_a_failure(monkeypatch):
    monkeypatch.setattr(sse_module, "MAX_EVENT_BYTES", 1000)
    stream = ExactStream(make_call(), SSE)

    stream.feed(sse(message_start()) + b"data: " + b"x" * 2000)
    frames = stream.feed(b"y") + stream.end()

    assert frames == []
    assert isinstance(stream.failure, BrokeProtocol)


def test_an_endless_event_found_at_the_end_is_a_failure(monkeypatch):
    monkeypatch.setattr(sse_module, "MAX_EVENT_BYTES", 1000)
    stream = ExactStream(make_call(), SSE)

    stream.feed(sse(message_start()) + b"data: " + b"x" * 2000)

    assert [] == stream.end()
    assert isinstance(stream.failure, BrokeProtocol)


def test_deltas_are_not_decoded(monkeypatch):
    looked: list[bytes] = []
    decode_json = passthrough._decode
    monkeypatch.setattr(
        passthrough, "_decode", lambda data: looked.append(data) or decode_json(data)
    )

    decode([PLAIN])

    assert ["message_start", "message_delta", "message_stop"] == [
        json.loads(data)["type"] for data in looked
    ]


def test_a_surrogate_that_is_no_character_is_no_failure():
    raw = PLAIN.replace(b'"gr', b'"\\ud800gr')

    stream, frames = decode([raw])

    assert stream.failure is None
    assert raw == b"".join(frame.wire for frame in frames)
