"""Playbooks of the path: scripted upstreams in, what the client got and the log said out.

The dialect here is a toy: each line of the upstream's body is one word. `start` begins a message,
`text` adds to it, `end` completes it, `broken` fails it, `late` has ended but for its usage.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from aiohttp import web

from llmproxyd import pipeline as module
from llmproxyd.cache.reasoning import ReasoningCache
from llmproxyd.config.schema import Config
from llmproxyd.errors import BadRequest, BrokeProtocol, NeedsServerTool, Rejected, Verbatim
from llmproxyd.ledger.calibration import Calibration
from llmproxyd.ledger.counters import Counters
from llmproxyd.ledger.record import Record
from llmproxyd.pipeline import Pipeline, Services
from llmproxyd.service.tasks import Tasks
from llmproxyd.spi import Backend, BackendEntry, UpstreamRequest
from llmproxyd.upstream.client import UpstreamClient
from llmproxyd.upstream.images import ImageFetcher
from llmproxyd.upstream.probe import ProtocolProbe
from llmproxyd.wire.messages import MessagesRequest
from llmproxyd.wire.stream import MessageStream
from llmproxyd.wire.usage import Usage


class ToyDecoder:
    def __init__(self) -> None:
        self.stream = MessageStream()
        self.is_done = False
        self.notes = ("odd",)
        self.waits_for_usage = False
        self.failure = None
        self.usage = None

    def feed(self, data):
        return [frame for word in data.decode().split() for frame in self._word(word)]

    def end(self):
        if not self.is_done:
            self.failure = self.failure or BrokeProtocol("cut off")
        return []

    def settle(self):
        self.is_done, self.waits_for_usage = True, False
        return [self.stream.stop_block(), *self.stream.finish("end_turn", Usage(2, 2))]

    def _word(self, word):
        match word:
            case "start":
                return [self.stream.start("msg_1", "m", Usage(1, 1)), self.stream.start_text()]
            case "text":
                return [self.stream.text("hi")]
            case "end":
                self.usage = Usage(1000, 2)
                return self.settle()
            case "late":
                self.waits_for_usage = True
            case "crash":
                raise ZeroDivisionError
            case "broken":
                self.failure = BrokeProtocol("broken")
        return []


class ToyExchange:
    prompt_estimate = 1000

    def __init__(self, call, *, mended=False) -> None:
        self.call = call
        self.learned = "foo" if mended else None
        body = b"mended" if mended else b"first"
        url = f"{call.target.entry.url}/chat"
        body = str(call.images).encode() if call.images else body
        self.request = UpstreamRequest(url=url, headers=(), body=body, notes=call.dropped)
        self.local = []
        if call.request.model == "local":
            self.request, stream = None, MessageStream()
            self.local = [stream.start("msg_1", "m", Usage()), *stream.finish("end_turn", Usage())]

    def decoder(self, head):
        return ToyDecoder()

    def error(self, head, body):
        verbatim = Verbatim(head.status, (), body) if body == b"verbatim" else None
        return Rejected(
            body.decode(),
            status=head.status,
            kind="api_error",
            can_fail_over=head.status != 400,
            verbatim=verbatim,
        )

    def repaired(self, error):
        return ToyExchange(self.call, mended=True) if error.message == "mend me" else None

    def response_headers(self, head):
        return [("x-upstream", head.header("x-id") or "")]


class ToyDialect:
    name = "toy"

    def exchange(self, call):
        if call.request.model == "search" and call.target.entry.name == "b0":
            raise NeedsServerTool("not here")
        if call.request.model == "refused":
            raise BadRequest("not on this backend")
        return ToyExchange(call)

    def remote_images(self, call):
        return [call.request.query] if call.request.query else []

    def count_request(self, call):
        if call.request.model == "uncounted":
            return None
        return UpstreamRequest(url=f"{call.target.entry.url}/count", headers=(), body=b"")

    def estimate_tokens(self, call):
        return 7


class RecordingSink:
    def __init__(self) -> None:
        self.status = None
        self.body = b""
        self.headers = {}
        self.finished = False
        self.wrote = asyncio.Event()

    async def start(self, headers):
        self.status, self.headers = 200, dict(headers)

    async def write(self, data):
        self.body += data
        self.wrote.set()

    async def finish(self):
        self.finished = True

    async def reply(self, status, headers, body):
        self.status, self.headers, self.body, self.finished = status, dict(headers), body, True


class RecordingLog:
    def __init__(self) -> None:
        self.events = []

    def info(self, event, **fields):
        self.events.append((event, fields))

    warning = error = exception = info

    def fields(self, event):
        return [fields for name, fields in self.events if name == event]


BACKEND = Backend(kind="toy", dialects=(ToyDialect(),))


@pytest.fixture
async def house(aiohttp_server, unused_tcp_port_factory):
    """A pipeline, and a way to script the answers of its upstreams."""
    log = RecordingLog()
    tasks = Tasks(log)
    client = UpstreamClient({})
    images = ImageFetcher(allow_private=True)
    services = Services(
        client=client,
        probe=ProtocolProbe(client),
        calibration=Calibration(),
        counters=Counters(),
        reasoning=ReasoningCache(),
        claim_id=lambda _id: True,
        images=images,
        spawner=tasks,
        entropy=lambda count: "x" * count,
        clock=asyncio.get_running_loop().time,
        log=log,
    )
    pipeline = Pipeline(services)
    requests, sinks = [], []

    async def upstream(*answers):
        """Serve `answers` in turn, the last one for ever: text, a status or a handler."""
        queue = list(answers)

        async def chat(request: web.Request) -> web.StreamResponse:
            requests.append((await request.read()).decode())
            answer = queue.pop(0) if len(queue) > 1 else queue[0]
            if callable(answer):
                return await answer(request)
            status, text = answer if isinstance(answer, tuple) else (200, answer)
            return web.Response(status=status, text=text, headers={"x-id": "up-1"})

        app = web.Application()
        app.router.add_post("/chat", chat)
        app.router.add_post("/count", chat)
        server = await aiohttp_server(app)
        return f"http://127.0.0.1:{server.port}"

    def snapshot(*urls, retries=1, unusable=None):
        names = [f"b{number}" for number in range(len(urls))]
        entries = {
            name: BackendEntry(
                name=name, backend=BACKEND, url=url, dialect=ToyDialect(), retries=retries
            )
            for name, url in zip(names, urls, strict=True)
        }
        return SimpleNamespace(
            entries=entries,
            active="b0",
            fallback=tuple(names[1:]),
            unusable=unusable or {},
            secrets=(),
        )

    async def ask(snapshot, *, stream=True, model="m"):
        sink = RecordingSink()
        sinks.append(sink)
        request = MessagesRequest(raw=b"{}", model=model, stream=stream)
        record = Record(request_id="req_1", started_s=0.0, model=model, is_stream=stream)
        await pipeline.messages(request, snapshot, record, sink)
        return sink

    async def count(snapshot, model="m"):
        request = MessagesRequest(raw=b"{}", model=model)
        record = Record(request_id="req_1", started_s=0.0, model=model, is_stream=False)
        return await pipeline.count_tokens(request, snapshot, record)

    down = f"http://127.0.0.1:{unused_tcp_port_factory()}"
    yield SimpleNamespace(**locals())
    await tasks.close()
    await client.close()
    await images.close()


async def test_stream_is_relayed_and_recorded(house):
    snapshot = house.snapshot(await house.upstream("start text end"))
    sink = await house.ask(snapshot)
    assert sink.status == 200
    assert sink.headers["x-upstream"] == "up-1"
    assert sink.body.count(b"event: ") == 6
    assert sink.finished
    (finished,) = house.log.fields("request_finished")
    assert finished["result"] == "ok"
    assert (finished["backend"], finished["attempts"]) == ("b0", 1)
    assert (finished["input_tokens"], finished["output_tokens"]) == (1000, 2)
    assert house.services.counters.of("b0").requests == 1


async def test_plain_request_gets_the_folded_answer(house):
    sink = await house.ask(house.snapshot(await house.upstream("start text end")), stream=False)
    assert sink.headers["content-type"] == "application/json"
    assert b'"content":[{"type":"text","text":"hi"}]' in sink.body


async def test_failed_first_target_falls_over_to_the_second(house):
    good = await house.upstream("start text end")
    sink = await house.ask(house.snapshot(house.down, good, retries=0))
    assert b"message_stop" in sink.body
    (failed,) = house.log.fields("attempt_failed")
    assert failed["backend"] == "b0"
    assert "is not running at" in failed["error"]
    assert house.log.fields("request_finished")[0]["backend"] == "b1"


async def test_answer_that_breaks_before_the_first_frame_falls_over(house):
    snapshot = house.snapshot(
        await house.upstream("broken"), await house.upstream("start text end")
    )
    assert b"message_stop" in (await house.ask(snapshot)).body


@pytest.mark.parametrize("stream", [True, False])
async def test_answer_that_breaks_in_the_middle(house, stream):
    """A stream ends with an error event; a plain client has seen nothing, so it fails over."""
    good = await house.upstream("start text end")
    snapshot = house.snapshot(await house.upstream("start text broken"), good)
    sink = await house.ask(snapshot, stream=stream)
    if stream:
        assert sink.body.endswith(b"\n\n")
        assert b"event: error" in sink.body
        assert b"message_stop" not in sink.body
        assert len(house.requests) == 1
    else:
        assert (sink.status, len(house.requests)) == (200, 2)


async def test_connection_cut_in_the_middle_is_an_error_event(house):
    async def cut(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"start text ")
        request.transport.abort()
        return response

    sink = await house.ask(house.snapshot(await house.upstream(cut)))
    assert b"event: error" in sink.body
    assert b"in the middle of its answer" in sink.body


async def test_error_of_the_first_target_is_told_when_all_fail(house):
    busy = await house.upstream((503, "busy"))
    sink = await house.ask(house.snapshot(busy, house.down, retries=0))
    assert sink.status == 503
    assert b"busy" in sink.body


async def test_fault_of_the_request_is_not_tried_elsewhere(house):
    snapshot = house.snapshot(
        await house.upstream((400, "bad")), await house.upstream("start text end")
    )
    sink = await house.ask(snapshot)
    assert (sink.status, len(house.requests)) == (400, 1)


async def test_request_that_a_dialect_refuses_never_goes_up(house):
    sink = await house.ask(house.snapshot(await house.upstream("start text end")), model="refused")
    assert (sink.status, house.requests) == (400, [])


@pytest.mark.parametrize("status", [502, 503, 529, 429])
async def test_overloaded_target_is_retried_before_the_commit(house, status):
    snapshot = house.snapshot(await house.upstream((status, "busy"), "start text end"))
    assert (await house.ask(snapshot)).status == 200
    assert len(house.requests) == 2


@pytest.mark.parametrize("answer", [(500, "crash"), (503, "verbatim")])
async def test_other_failures_are_not_retried(house, answer):
    snapshot = house.snapshot(await house.upstream(answer, "start text end"))
    sink = await house.ask(snapshot)
    assert (sink.status, len(house.requests)) == (answer[0], 1)


async def test_mended_request_is_sent_once_and_remembered(house):
    snapshot = house.snapshot(await house.upstream((400, "mend me"), "start text end"), retries=0)
    assert (await house.ask(snapshot)).status == 200
    assert house.requests == ["first", "mended"]
    await house.ask(snapshot)
    assert house.log.fields("request_finished")[1]["notes"] == ["foo", "odd"]


async def test_what_one_server_refused_is_sent_to_another_of_the_same_name(house):
    first = house.snapshot(await house.upstream((400, "mend me"), "start text end"), retries=0)
    await house.ask(first)
    await house.ask(house.snapshot(await house.upstream("start text end")))
    assert house.log.fields("request_finished")[1]["notes"] == ["odd"]


async def test_property_that_two_requests_learn_at_once_is_kept_once(house):
    gate = asyncio.Event()

    async def refuse_both(_request):
        if len(house.requests) == 2:
            gate.set()
        await gate.wait()
        return web.Response(status=400, text="mend me")

    url = await house.upstream(refuse_both, refuse_both, "start text end")
    snapshot = house.snapshot(url, retries=0)
    await asyncio.gather(house.ask(snapshot), house.ask(snapshot))
    await house.ask(snapshot)
    assert house.log.fields("request_finished")[2]["notes"] == ["foo", "odd"]


async def test_mending_is_not_repeated_when_it_does_not_help(house):
    snapshot = house.snapshot(await house.upstream((400, "mend me")), retries=0)
    assert (await house.ask(snapshot)).status == 400
    assert house.requests == ["first", "mended"]


async def test_local_answer_needs_no_upstream(house):
    sink = await house.ask(house.snapshot(house.down), model="local")
    assert b"message_stop" in sink.body


async def test_late_usage_is_waited_for_only_so_long(house, monkeypatch):
    monkeypatch.setattr(module, "_USAGE_WAIT_S", 0.05)
    release = asyncio.Event()

    async def hang(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"start text late ")
        await release.wait()
        return response

    sink = await house.ask(house.snapshot(await house.upstream(hang)))
    release.set()
    assert b"message_stop" in sink.body


async def test_estimates_are_calibrated_by_what_the_backend_counted(house):
    await house.ask(house.snapshot(await house.upstream("start text end")))
    assert house.services.calibration.scale(("b0", "m")) == 1.0


async def test_linked_images_are_fetched_before_the_exchange(house):
    url = await house.upstream("start text end")
    request = MessagesRequest(raw=b"{}", model="m", stream=True, query=f"{house.down}/a.png")
    record = Record(request_id="req_1", started_s=0.0, model="m", is_stream=True)
    await house.pipeline.messages(request, house.snapshot(url), record, RecordingSink())
    assert house.requests == [str({f"{house.down}/a.png": None})]


async def test_backend_without_its_key_says_so(house):
    snapshot = house.snapshot(house.down, unusable={"b0": "backend b0 has no key"})
    sink = await house.ask(snapshot)
    assert sink.status == 401
    assert sink.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(("server_tools", "status"), [("b1", 200), ("b0", 400), (None, 400)])
async def test_request_for_a_server_tool_takes_a_detour(house, server_tools, status):
    good = await house.upstream("start text end")
    snapshot = house.snapshot(good, good)
    snapshot.fallback = ()
    snapshot.config = Config(server_tools=server_tools)
    sink = await house.ask(snapshot, model="search")
    assert sink.status == status
    assert len(house.requests) == (1 if status == 200 else 0)
    backend = house.log.fields("request_finished")[0]["backend"]
    assert backend == ("b1" if status == 200 else "b0")


async def test_client_that_leaves_stops_the_upstream(house):
    gone = asyncio.Event()

    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"start text ")
        try:  # aiohttp's test server cancels the handler when its client goes
            await asyncio.Event().wait()
        finally:
            gone.set()

    url = await house.upstream(endless)
    sink = RecordingSink()
    record = Record(request_id="req_1", started_s=0.0, model="m", is_stream=True)
    request = MessagesRequest(raw=b"{}", model="m", stream=True)
    task = asyncio.get_running_loop().create_task(
        house.pipeline.messages(request, house.snapshot(url), record, sink)
    )
    await asyncio.wait_for(sink.wrote.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.log.fields("request_finished")[0]["result"] == "cancelled"
    await asyncio.wait_for(gone.wait(), 5)


async def test_abort_ends_streams_with_an_error_that_clients_retry(house):
    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"start text ")
        await asyncio.Event().wait()

    url = await house.upstream(endless)
    sink = RecordingSink()
    record = Record(request_id="req_1", started_s=0.0, model="m", is_stream=True)
    request = MessagesRequest(raw=b"{}", model="m", stream=True)
    task = asyncio.get_running_loop().create_task(
        house.pipeline.messages(request, house.snapshot(url), record, sink)
    )
    await asyncio.wait_for(sink.wrote.wait(), 5)
    await house.pipeline.abort()
    await task
    assert b"overloaded_error" in sink.body
    assert sink.finished


async def test_crash_is_recorded_as_one(house):
    snapshot = house.snapshot(house.down)
    snapshot.entries = {}
    sink = await house.ask(snapshot)
    assert (sink.status, b"internal error" in sink.body) == (500, True)
    assert house.log.fields("request_crashed") == [{"request_id": "req_1"}]
    (finished,) = house.log.fields("request_finished")
    assert (finished["result"], finished["status"], finished["error"]) == ("error", 500, "KeyError")


async def test_crash_in_the_middle_of_a_stream_ends_it_with_an_error_event(house):
    async def begin_then_crash(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"start ")
        await began.wait()
        await response.write(b"crash ")
        return response

    began = asyncio.Event()
    snapshot = house.snapshot(await house.upstream(begin_then_crash))
    asking = asyncio.get_running_loop().create_task(house.ask(snapshot))
    while b"content_block_start" not in (house.sinks[-1].body if house.sinks else b""):
        await asyncio.sleep(0)
    began.set()
    sink = await asking
    assert sink.status == 200
    assert b"event: error\n" in sink.body
    assert b"ZeroDivision" not in sink.body
    assert sink.finished
    assert house.log.fields("request_crashed") == [{"request_id": "req_1"}]


async def test_abort_with_nothing_in_flight_is_nothing(house):
    await house.pipeline.abort()


async def test_tokens_are_counted_by_the_backend_that_can(house):
    url = await house.upstream('{"input_tokens":42}')
    status, _, body = await house.count(house.snapshot(url))
    assert (status, body) == (200, b'{"input_tokens":42}')


async def test_count_of_a_client_that_left_is_recorded_as_cancelled(house):
    asked = asyncio.Event()

    async def silent(_request):
        asked.set()
        await asyncio.Event().wait()

    url = await house.upstream(silent)
    counting = asyncio.get_running_loop().create_task(house.count(house.snapshot(url)))
    await asyncio.wait_for(asked.wait(), 5)
    counting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await counting
    (finished,) = house.log.fields("request_finished")
    assert (finished["result"], finished["status"]) == ("cancelled", 499)


async def test_crash_of_a_count_is_recorded_as_one(house):
    snapshot = house.snapshot(house.down)
    snapshot.entries = {}
    with pytest.raises(KeyError):
        await house.count(snapshot)
    (finished,) = house.log.fields("request_finished")
    assert (finished["result"], finished["status"], finished["error"]) == ("error", 500, "KeyError")


@pytest.mark.parametrize(("status", "expected"), [(400, 0), (413, 0), (404, 1), (500, 1)])
async def test_refused_request_does_not_make_its_backend_look_ill(house, status, expected):
    await house.ask(house.snapshot(await house.upstream((status, "no")), retries=0))
    counts = house.services.counters.of("b0")
    assert (counts.requests, counts.failures, counts.failures_in_a_row) == (1, 1, expected)


async def test_tokens_are_estimated_when_the_backend_can_not_count(house):
    for answer, model in [((404, "no"), "m"), ("x", "uncounted")]:
        snapshot = house.snapshot(await house.upstream(answer))
        status, headers, body = await house.count(snapshot, model)
        assert (status, body) == (200, b'{"input_tokens":7}')
        assert ("request-id", "req_1") in headers


async def test_refused_count_is_told(house):
    status, _, body = await house.count(house.snapshot(await house.upstream((500, "no"))))
    assert status == 500
    assert b'"type":"error"' in body
