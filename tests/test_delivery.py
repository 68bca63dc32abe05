"""The commit point, pings, and errors before and after it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from llmproxyd import delivery as module
from llmproxyd.delivery import Delivery, error_answer
from llmproxyd.errors import BadRequest, BrokeProtocol, Rejected, Unreachable, Verbatim
from llmproxyd.wire.frames import PING_WIRE, make_frame, whole_message
from llmproxyd.wire.stream import MessageStream
from llmproxyd.wire.usage import Usage


class RecordingSink:
    """Remembers what it was told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.wrote = asyncio.Event()
        self.fails = False

    async def start(self, headers) -> None:
        self.calls.append(("start", dict(headers)))

    async def write(self, data) -> None:
        if self.fails:
            raise ConnectionResetError
        self.calls.append(("write", data))
        self.wrote.set()

    async def finish(self) -> None:
        self.calls.append(("finish",))

    async def reply(self, status, headers, body) -> None:
        self.calls.append(("reply", status, dict(headers), body))


class Spawner:
    def __init__(self) -> None:
        self.tasks: list[asyncio.Task] = []

    def spawn(self, coroutine, *, name):
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine, name=name))


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
async def make(sink):
    made = []

    def build(*, streams: bool) -> Delivery:
        made.append(Delivery(sink, Spawner(), "req_1", streams=streams))
        return made[-1]

    yield build
    for delivery in made:
        delivery.close()


def answer_frames():
    stream = MessageStream()
    frames = [stream.start("msg_1", "m", Usage(3, 1)), stream.start_text(), stream.text("hi")]
    return [*frames, stream.stop_block(), *stream.finish("end_turn", Usage(3, 2))]


A, B = make_frame("a", b"{}"), make_frame("b", b"{}")


async def test_first_frames_commit_and_one_read_is_one_write(make, sink):
    delivery = make(streams=True)
    assert not delivery.is_committed
    await delivery.frames([A, B], [("x-extra", "1")])
    await delivery.finish([])
    assert delivery.is_committed
    start, write, finish = sink.calls
    assert start[1]["content-type"] == "text/event-stream; charset=utf-8"
    assert start[1]["x-accel-buffering"] == "no"
    assert start[1]["request-id"] == "req_1"
    assert start[1]["x-extra"] == "1"
    assert (write, finish) == (("write", A.wire + B.wire), ("finish",))


async def test_headers_of_the_answer_win_over_our_own(make, sink):
    delivery = make(streams=True)
    await delivery.frames([A], [("Request-Id", "theirs"), ("Content-Type", "text/event-stream")])
    headers = sink.calls[0][1]
    assert headers["Request-Id"] == "theirs"
    assert "request-id" not in headers
    assert "content-type" not in headers


async def test_plain_client_gets_the_folded_message(make, sink):
    delivery = make(streams=False)
    for frame in answer_frames():
        await delivery.frames([frame], [])
    assert not delivery.is_committed
    await delivery.finish([])
    kind, status, headers, body = sink.calls[0]
    assert (kind, status) == ("reply", 200)
    assert headers["content-type"] == "application/json"
    assert msgspec.json.decode(body)["content"] == [{"type": "text", "text": "hi"}]


async def test_restart_forgets_what_a_failed_attempt_left(make, sink):
    delivery = make(streams=False)
    await delivery.frames(answer_frames()[:3], [])
    delivery.restart()
    await delivery.frames([whole_message(b'{"x":1}')], [])
    await delivery.finish([])
    assert sink.calls[0][3] == b'{"x":1}'


async def test_incomplete_answer_of_a_plain_client_is_an_error(make):
    delivery = make(streams=False)
    await delivery.frames(answer_frames()[:3], [])
    with pytest.raises(BrokeProtocol):
        await delivery.finish([])


async def test_refusal_before_the_commit_is_a_status(make, sink):
    await make(streams=True).refuse(Unreachable("down", retry_after_s=1.2, should_retry=False))
    kind, status, headers, body = sink.calls[0]
    assert (kind, status) == ("reply", 502)
    assert headers["retry-after"] == "2"
    assert headers["x-should-retry"] == "false"
    assert headers["request-id"] == "req_1"
    assert msgspec.json.decode(body) == {
        "type": "error",
        "error": {"type": "api_error", "message": "down"},
        "request_id": "req_1",
    }


async def test_refusal_after_the_commit_is_an_error_event(make, sink):
    delivery = make(streams=True)
    await delivery.frames([A], [])
    await delivery.refuse(Unreachable("down"))
    assert sink.calls[-1] == ("finish",)
    event = sink.calls[-2][1]
    assert event.startswith(b"event: error\ndata: ")
    assert b'"request_id":"req_1"' in event


async def test_silence_starts_the_answer_and_pings(make, sink, monkeypatch):
    monkeypatch.setattr(module, "PING_INTERVAL_S", 0.01)
    delivery = make(streams=True)
    await asyncio.wait_for(sink.wrote.wait(), 5)
    assert [call[0] for call in sink.calls[:2]] == ["start", "write"]
    assert sink.calls[1] == ("write", PING_WIRE)
    assert not delivery.is_committed
    await delivery.frames([A], [])
    assert [call[0] for call in sink.calls].count("start") == 1
    assert ("write", A.wire) in sink.calls


async def test_error_after_a_ping_is_an_error_event(make, sink, monkeypatch):
    monkeypatch.setattr(module, "PING_INTERVAL_S", 0.01)
    delivery = make(streams=True)
    await asyncio.wait_for(sink.wrote.wait(), 5)
    await delivery.refuse(BadRequest("no"))
    assert b"event: error" in sink.calls[-2][1]


async def test_ping_that_comes_after_the_end_is_not_sent(make, sink, monkeypatch):
    monkeypatch.setattr(module, "PING_INTERVAL_S", 0.0)
    delivery = make(streams=True)
    while not delivery._spawner.tasks:
        await asyncio.sleep(0)
    await delivery.refuse(BadRequest("no"))
    await asyncio.gather(*delivery._spawner.tasks)
    assert [call[0] for call in sink.calls] == ["reply"]


async def test_ping_to_a_client_that_left_is_quiet(make, sink, monkeypatch):
    monkeypatch.setattr(module, "PING_INTERVAL_S", 0.01)
    sink.fails = True
    delivery = make(streams=True)
    while not delivery._spawner.tasks:
        await asyncio.sleep(0)
    await asyncio.gather(*delivery._spawner.tasks)


def test_words_of_the_backend_go_through_untouched():
    verbatim = Verbatim(418, (("content-type", "text/plain"), ("retry-after", "7")), b"teapot")
    error = Rejected("x", status=418, kind="api_error", verbatim=verbatim)
    status, headers, body = error_answer(error, "req_9")
    assert (status, body) == (418, b"teapot")
    assert headers == [
        ("content-type", "text/plain"),
        ("retry-after", "7"),
        ("request-id", "req_9"),
    ]
