"""The sink for OpenAI clients: Messages in, Chat Completions out."""

from __future__ import annotations

import json

import pytest

from llmproxyd.downstream.chat import ChatSink
from llmproxyd.errors import BrokeProtocol
from llmproxyd.reverse.answer import ChatOutlet
from llmproxyd.wire.error_body import error_body, error_frame
from llmproxyd.wire.fold import fold
from llmproxyd.wire.frames import PING_WIRE
from llmproxyd.wire.stream import MessageStream
from llmproxyd.wire.usage import Usage


class RecordingSink:
    response = "the response"

    def __init__(self) -> None:
        self.calls = []

    async def start(self, headers):
        self.calls.append(("start", headers))

    async def write(self, data):
        self.calls.append(("write", data))

    async def finish(self):
        self.calls.append(("finish",))

    async def reply(self, status, headers, body):
        self.calls.append((status, headers, body))

    @property
    def written(self) -> bytes:
        return b"".join(call[1] for call in self.calls if call[0] == "write")


@pytest.fixture
def inner():
    return RecordingSink()


@pytest.fixture
def sink(inner):
    return ChatSink(inner, ChatOutlet("chatcmpl-1", 1_700_000_000, "m"))


def frames():
    stream = MessageStream()
    begin = [stream.start("msg_1", "m", Usage(3, 1)), stream.start_text(), stream.text("hi")]
    return [*begin, stream.stop_block(), *stream.finish("end_turn", Usage(3, 2))]


async def test_stream_is_rewritten_however_its_bytes_are_split(sink, inner):
    await sink.start([("content-type", "text/event-stream")])
    wire = b"".join(frame.wire for frame in frames())
    for start in range(0, len(wire), 7):
        await sink.write(wire[start : start + 7])
    await sink.finish()
    assert sink.response == "the response"
    assert inner.calls[0][0] == "start"
    assert inner.calls[-1] == ("finish",)
    lines = [line for line in inner.written.decode().split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "hi"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_nothing_is_written_for_events_that_say_nothing(sink, inner):
    await sink.write(b": a comment\n\n")
    assert inner.calls == []


async def test_ping_becomes_a_comment_and_an_error_ends_without_done(sink, inner):
    await sink.write(PING_WIRE)
    await sink.write(error_frame("overloaded_error", "busy", "req_1").wire)
    assert inner.written.startswith(b": keep-alive\n\n")
    assert b'"message":"busy"' in inner.written
    assert b"[DONE]" not in inner.written


async def test_whole_answer_is_a_completion(sink, inner):
    headers = [("Content-Type", "application/json; charset=utf-8"), ("request-id", "req_1")]
    await sink.reply(200, headers, fold(frames()))
    status, headers, body = inner.calls[0]
    assert (status, headers) == (
        200,
        [("content-type", "application/json"), ("request-id", "req_1")],
    )
    completion = json.loads(body)
    assert completion["object"] == "chat.completion"
    assert completion["choices"][0]["message"]["content"] == "hi"


async def test_error_has_openais_envelope(sink, inner):
    await sink.reply(429, [], error_body("rate_limit_error", "slow down", "req_1"))
    status, _, body = inner.calls[0]
    assert status == 429
    assert json.loads(body)["error"]["message"] == "slow down"


async def test_message_that_makes_no_sense_is_the_backends_fault(sink):
    with pytest.raises(BrokeProtocol):
        await sink.reply(200, [], b'{"content":7}')
