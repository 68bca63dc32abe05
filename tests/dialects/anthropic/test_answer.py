from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.anthropic.answer import AnswerDecoder
from llmproxyd.errors import BrokeProtocol
from llmproxyd.spi import ResponseHead
from llmproxyd.wire.usage import Usage
from tests.dialects.anthropic.calls import (
    JSON,
    SSE,
    STOP,
    block_start,
    block_stop,
    imitated,
    make_call,
    message_delta,
    message_start,
    sse,
    text,
)
from tests.dialects.anthropic.test_whole import MESSAGE

STREAM = sse(message_start(), block_start(0), text(0, "hi"), block_stop(0), message_delta(), STOP)
WHOLE = json.dumps(MESSAGE).encode()
HTML = ResponseHead(200, (("content-type", "text/html; charset=utf-8"),))
UNTYPED = ResponseHead(200, ())


def decode(raw, call, head):
    """Feed byte by byte, so that the first byte comes alone."""
    decoder = AnswerDecoder(call, head)
    frames = [frame for at in range(len(raw)) for frame in decoder.feed(raw[at : at + 1])]
    return decoder, frames + decoder.end()


@pytest.mark.parametrize("head", [SSE, JSON, UNTYPED])
@pytest.mark.parametrize("space", [b"", b"\n", b" \r\n\t"])
def test_a_stream_is_known_by_its_bytes(head, space):
    decoder, frames = decode(space + STREAM, make_call(), head)

    assert space + STREAM == b"".join(frame.wire for frame in frames)
    assert decoder.is_done
    assert Usage(7, 5) == decoder.usage


@pytest.mark.parametrize("head", [SSE, JSON, UNTYPED])
@pytest.mark.parametrize("space", [b"", b"\n\n"])
def test_json_is_known_by_its_bytes(head, space):
    decoder, frames = decode(space + WHOLE, make_call({"stream": False}), head)

    assert [space + WHOLE] == [frame.wire for frame in frames]
    assert decoder.is_done


def test_an_imitated_stream_is_repaired():
    _, frames = decode(STREAM, imitated(), SSE)

    assert "asked" == json.loads(frames[0].data)["message"]["model"]


def test_a_stream_for_a_request_without_one_is_frames():
    _, frames = decode(STREAM, make_call({"stream": False}), SSE)

    assert "message_stop" == frames[-1].event


@pytest.mark.parametrize(
    ("raw", "head"), [(b"<html>Bad gateway", SSE), (b"\n<!DOCTYPE", JSON), (b"Sorry", HTML)]
)
def test_a_web_page_is_a_failure_without_its_markup(raw, head):
    decoder, frames = decode(raw, imitated(), head)

    assert frames == []
    assert isinstance(decoder.failure, BrokeProtocol)
    assert "[box] upstream returned HTML (status 200)" == decoder.failure.message


@pytest.mark.parametrize("raw", [b"", b" \n"])
def test_an_empty_answer_is_a_failure(raw):
    decoder, frames = decode(raw, make_call(), SSE)

    assert frames == []
    assert isinstance(decoder.failure, BrokeProtocol)
    assert not decoder.is_done
    assert decoder.usage is None


def test_words_are_a_failure():
    decoder, frames = decode(b"upstream connect error", make_call(), UNTYPED)

    assert frames == []
    assert isinstance(decoder.failure, BrokeProtocol)


def test_no_usage_is_waited_for():
    decoder = AnswerDecoder(make_call(), SSE)

    assert not decoder.waits_for_usage
    assert [] == decoder.settle()


@pytest.mark.parametrize("depth", [100, 900, *range(960, 1000), 5000])
@pytest.mark.parametrize("call", [make_call(), make_call({"stream": False}), imitated()])
def test_deep_nesting_is_no_exception(call, depth):
    deep = b"[" * depth + b"]" * depth
    block = b'{"type":"tool_use","id":"a","name":"b","input":{"x":%b}}' % deep
    start = b'data: {"type":"content_block_start","index":0,"content_block":%b}\n\n' % block

    for raw in (
        b'{"type":"message","content":[%b]}' % block,
        start,
        b'data: {"error":%b}\n\n' % deep,
    ):
        decoder = AnswerDecoder(call, SSE)
        decoder.feed(raw)
        decoder.end()
