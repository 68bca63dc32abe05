"""The path of one request, read top to bottom.

    parse → route → attempt until the first frame → relay → record

The commit point is `Delivery.frames`: before the first frame of an answer has gone downstream,
any failure may move on to the next target; after it, never. A keep-alive ping may go out
earlier (after the commit grace); it fixes the status, but not yet the target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from llmproxyd.delivery import Delivery, HeaderList, Sink, Spawner, error_answer
from llmproxyd.errors import (
    Draining,
    NeedsServerTool,
    ProxyError,
    Rejected,
    TimedOut,
    Unreachable,
    UpstreamError,
)
from llmproxyd.ledger.calibration import Calibration
from llmproxyd.ledger.counters import Counters
from llmproxyd.ledger.record import Record
from llmproxyd.reload.snapshot import Snapshot
from llmproxyd.routing.plan import make_plan, target_of
from llmproxyd.service.long_work import LongWork
from llmproxyd.spi import Call, Exchange, ReasoningStore, ResponseDecoder, Target
from llmproxyd.upstream.client import UpstreamClient, UpstreamResponse
from llmproxyd.upstream.images import ImageFetcher
from llmproxyd.upstream.probe import ProtocolProbe
from llmproxyd.upstream.retries import retry_pause_s
from llmproxyd.wire.messages import MessagesRequest
from llmproxyd.wire.usage import Usage

# How long the end of an answer waits for a late usage chunk (translation spec, section 3.6).
_USAGE_WAIT_S: Final = 5.0
# How long clients may take to read the error that ends their stream.
_ABORT_S: Final = 2.0
_OK: Final = range(200, 300)
# Answers that show a backend well: the CLI tries features, and long prompts, until refused.
_FAULTS_OF_REQUESTS: Final = frozenset({400, 413, 422})
# What a client is told of a bug.
CRASHED: Final = "internal error of the proxy; its log has the details"
# Answers to count_tokens that mean "this server can not count".
_CANNOT_COUNT: Final = frozenset({404, 405, 501})


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def info(self, event: str, **fields: Any) -> None:
        """Log an event."""
        ...

    def warning(self, event: str, **fields: Any) -> None:
        """Log an event that somebody may want to look at."""
        ...

    def exception(self, event: str, **fields: Any) -> None:
        """Log the exception being handled: a bug of ours."""
        ...


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the path needs besides the snapshot; all of it outlives reloads."""

    client: UpstreamClient
    probe: ProtocolProbe
    calibration: Calibration
    counters: Counters
    reasoning: ReasoningStore
    claim_id: Callable[[str], bool]
    images: ImageFetcher
    spawner: Spawner
    entropy: Callable[[int], str]
    clock: Callable[[], float]
    log: Log


class Pipeline:
    """Serves requests, each with the snapshot that it began with."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._work = LongWork().run
        # Request properties that a (URL, model) has refused: not sent again (section 1.12).
        self._learned: dict[tuple[str, str], tuple[str, ...]] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._is_aborted = False

    async def messages(
        self, request: MessagesRequest, snapshot: Snapshot, record: Record, sink: Sink
    ) -> None:
        """Answer `POST /v1/messages` into `sink`; every error ends there too.

        Cancellation (the client has left) closes the upstream and is raised on.
        """
        delivery = Delivery(sink, self._services.spawner, record.request_id, streams=request.stream)
        task = _current_task()
        self._running.add(task)
        try:
            plan = make_plan(snapshot.entries, snapshot.active, snapshot.fallback, request.model)
            await self._serve(plan, request, snapshot, record, delivery)
        except ProxyError as error:
            record.result, record.status, record.error = "error", error.status, error.message
            await delivery.refuse(error)
        except (asyncio.CancelledError, ConnectionError):
            record.result, record.status = "cancelled", 499
            if not self._is_aborted:
                raise
            task.uncancel()
            await delivery.refuse(Draining("llmproxyd is shutting down; try again in a moment"))
        except Exception as error:
            record.result, record.status, record.error = "error", 500, type(error).__name__
            self._services.log.exception("request_crashed", request_id=record.request_id)
            await delivery.refuse(ProxyError(CRASHED))
        finally:
            self._running.discard(task)
            delivery.close()
            self._finish(record)

    async def count_tokens(
        self, request: MessagesRequest, snapshot: Snapshot, record: Record
    ) -> tuple[int, HeaderList, bytes]:
        """Answer `POST /v1/messages/count_tokens`: exactly if the backend can, else an estimate."""
        try:
            plan = make_plan(snapshot.entries, snapshot.active, snapshot.fallback, request.model)
            call = await self._call(plan[0], request, snapshot, record)
            counted = await self._count_upstream(call, record)
            if counted is not None:
                return counted
            size_bytes = len(call.request.raw)
            tokens = await self._work(size_bytes, call.dialect.estimate_tokens, call)
            body = b'{"input_tokens":%d}' % tokens
        except ProxyError as error:
            record.result, record.status, record.error = "error", error.status, error.message
            return error_answer(error, record.request_id)
        except asyncio.CancelledError:
            record.result, record.status = "cancelled", 499
            raise
        except Exception as error:
            record.result, record.status, record.error = "error", 500, type(error).__name__
            raise
        finally:
            self._finish(record)
        return 200, [("content-type", "application/json"), ("request-id", record.request_id)], body

    async def abort(self) -> None:
        """End all that is in flight with an `overloaded_error`, which clients retry."""
        self._is_aborted = True
        running = tuple(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_ABORT_S)

    async def _serve(
        self,
        plan: tuple[Target, ...],
        request: MessagesRequest,
        snapshot: Snapshot,
        record: Record,
        delivery: Delivery,
    ) -> None:
        """Try the targets in order until one answers; if none does, raise the first one's error."""
        first_error: UpstreamError | None = None
        for target in plan:
            try:
                call = await self._call(target, request, snapshot, record)
                await self._serve_target(call, record, delivery)
            except NeedsServerTool:
                other = snapshot.config.server_tools
                if other is None or other == target.entry.name:
                    raise
                detour = (target_of(snapshot.entries[other], request.model),)
                await self._serve(detour, request, snapshot, record, delivery)
                return
            except UpstreamError as error:
                self._failed(target, record, error)
                if delivery.is_committed or not error.can_fail_over:
                    raise
                first_error = first_error or error
            else:
                self._services.counters.succeeded(target.entry.name, record.usage)
                return
        raise first_error or Unreachable("no backend can take this request")

    async def _serve_target(self, call: Call, record: Record, delivery: Delivery) -> None:
        """Attempts on one target: the first, one with a mended request, and its retries."""
        size_bytes = len(call.request.raw)
        exchange = await self._work(size_bytes, call.dialect.exchange, call)
        is_mended = False
        retries = call.target.entry.retries
        while True:
            try:
                await self._attempt(call, exchange, record, delivery)
            except UpstreamError as error:
                if delivery.is_committed:
                    raise
                delivery.restart()
                if not is_mended and (
                    mended := await self._work(size_bytes, exchange.repaired, error)
                ):
                    is_mended, exchange = True, mended
                    continue
                pause_s = retry_pause_s(error) if retries > 0 else None
                if pause_s is None:
                    raise
                retries -= 1
                self._failed(call.target, record, error)
                await asyncio.sleep(pause_s)
            else:
                self._learn(call, exchange)
                return

    async def _attempt(
        self, call: Call, exchange: Exchange, record: Record, delivery: Delivery
    ) -> None:
        """One request upstream and its answer, relayed to the end."""
        record.attempts += 1
        request = exchange.request
        if request is None:
            await delivery.frames(exchange.local, [])
            await delivery.finish([])
            return
        entry = call.target.entry
        record.notes = request.notes
        response = await self._services.client.open(request, entry.name, entry.timeouts)
        try:
            head = response.head
            record.upstream_request_id = head.request_id
            if head.status not in _OK:
                raise exchange.error(head, await response.read_error())
            decoder = exchange.decoder(head)
            await self._relay(response, decoder, record, delivery, exchange.response_headers(head))
        except UpstreamError as error:
            error.upstream_request_id = record.upstream_request_id
            response.close()
            raise
        except BaseException:
            response.close()
            raise
        record.notes += decoder.notes
        self._release(response)
        self._observe(call, exchange, decoder.usage)

    async def _relay(
        self,
        response: UpstreamResponse,
        decoder: ResponseDecoder,
        record: Record,
        delivery: Delivery,
        headers: HeaderList,
    ) -> None:
        """Bytes to frames to the client until the answer is complete.

        Raises:
            UpstreamError: the answer failed; frames before the failure have been delivered.
        """
        is_open = True
        while is_open:
            broken: UpstreamError | None = None
            try:
                data = await _read(response, decoder)
                frames = decoder.feed(data) if data else decoder.end()
                is_open = bool(data) and not decoder.is_done
            except UpstreamError as error:
                # Broken after its ending was seen, an answer is still whole; the decoder knows.
                broken, is_open = error, False
                frames = decoder.settle() if decoder.waits_for_usage else decoder.end()
            if frames:
                if record.first_frame_s is None:
                    record.first_frame_s = self._services.clock()
                await delivery.frames(frames, headers)
            record.usage = decoder.usage
            if decoder.failure is not None:
                raise broken or decoder.failure
        await delivery.finish(headers)

    async def _call(
        self, target: Target, request: MessagesRequest, snapshot: Snapshot, record: Record
    ) -> Call:
        """Everything the attempt on `target` depends on."""
        record.backend, record.upstream_model = target.entry.name, target.model
        unusable = snapshot.unusable.get(target.entry.name)
        if unusable is not None:
            raise Rejected(unusable, status=401, kind="authentication_error", should_retry=False)
        services = self._services
        key = (target.entry.name, target.model)
        call = Call(
            request=request,
            target=target,
            dialect=await services.probe.dialect_of(target.entry),
            request_id=record.request_id,
            entropy=services.entropy,
            token_scale=services.calibration.scale(key),
            reasoning=services.reasoning,
            secrets=snapshot.secrets,
            claim_id=services.claim_id,
            dropped=self._learned.get((target.entry.url, target.model), ()),
        )
        urls = await self._work(len(call.request.raw), call.dialect.remote_images, call)
        if not urls:
            return call
        return msgspec.structs.replace(call, images=await services.images.fetch(urls))

    async def _count_upstream(
        self, call: Call, record: Record
    ) -> tuple[int, HeaderList, bytes] | None:
        """The backend's own count, or its error; None when it can not count."""
        request = await self._work(len(call.request.raw), call.dialect.count_request, call)
        if request is None:
            return None
        record.attempts += 1
        entry = call.target.entry
        response = await self._services.client.open(request, entry.name, entry.timeouts)
        try:
            body = await response.read_error()
            head = response.head
        finally:
            response.close()
        if head.status in _OK:
            return 200, [("content-type", "application/json")], body
        if head.status in _CANNOT_COUNT:
            return None
        exchange = await self._work(len(call.request.raw), call.dialect.exchange, call)
        raise exchange.error(head, body)

    def _release(self, response: UpstreamResponse) -> None:
        """Close the upstream; if only its last bytes are missing, wait for them elsewhere."""
        if response.is_at_end:
            response.close()
        else:
            self._services.spawner.spawn(response.drain(), name="drain upstream")

    def _observe(self, call: Call, exchange: Exchange, usage: Usage | None) -> None:
        """Learn how far the token estimate was off."""
        if usage is not None and not usage.is_estimated and exchange.prompt_estimate:
            real = (
                usage.input_tokens
                + usage.cache_read_input_tokens
                + usage.cache_creation_input_tokens
            )
            key = (call.target.entry.name, call.target.model)
            self._services.calibration.observe(key, real, exchange.prompt_estimate)

    def _learn(self, call: Call, exchange: Exchange) -> None:
        """Remember a property that this target refused, once it has answered without it."""
        if exchange.learned is not None:
            key = (call.target.entry.url, call.target.model)
            known = (*self._learned.get(key, ()), exchange.learned)
            self._learned[key] = tuple(dict.fromkeys(known))  # several may learn at once

    def _failed(self, target: Target, record: Record, error: UpstreamError) -> None:
        if error.status in _FAULTS_OF_REQUESTS:
            self._services.counters.refused(target.entry.name)
        else:
            self._services.counters.failed(target.entry.name, error.message)
        self._services.log.warning(
            "attempt_failed",
            request_id=record.request_id,
            backend=target.entry.name,
            model=target.model,
            status=error.status,
            error=error.message,
            retry_after_s=error.retry_after_s,
        )

    def _finish(self, record: Record) -> None:
        self._services.log.info("request_finished", **record.fields(self._services.clock()))


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("called outside a task")
    return task


async def _read(response: UpstreamResponse, decoder: ResponseDecoder) -> bytes:
    """The next bytes; a late usage chunk is waited for only so long."""
    if not decoder.waits_for_usage:
        return await response.read()
    try:
        async with asyncio.timeout(_USAGE_WAIT_S):
            return await response.read()
    except TimeoutError:
        raise TimedOut("no usage came after the end of the answer") from None
