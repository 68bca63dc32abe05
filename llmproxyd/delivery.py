"""The client's side of one answer: the commit point, keep-alive pings, errors after it.

    nothing sent ──first frame──▶ committed ──▶ finished
         │                            │
         ├──grace over, ping──▶ started ──first frame──▶ committed
         │                            │
         └──refuse──▶ HTTP error      └──refuse──▶ `error` event

A streaming client gets frames as they come. For any other client they are collected and folded
into one JSON message at the end, so the status stays open until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from llmproxyd.errors import ProxyError, Rejected
from llmproxyd.wire.error_body import error_body, error_frame, error_headers
from llmproxyd.wire.fold import fold
from llmproxyd.wire.frames import PING_WIRE, Frame

# Silence after which a ping goes out, and before the first frame the status with it
# (translation spec, sections 3.2 and 3.7).
PING_INTERVAL_S: Final = 15.0

_SSE_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_JSON_HEADERS: Final = {"content-type": "application/json"}

HeaderList = list[tuple[str, str]]


class Sink(Protocol):
    """One HTTP answer being written; the downstream room implements it."""

    async def start(self, headers: HeaderList) -> None:
        """Send status 200 and headers of a stream. Concurrent calls start it once."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes of a started stream; waits while the client reads slowly."""
        ...

    async def finish(self) -> None:
        """End a started stream."""
        ...

    async def reply(self, status: int, headers: HeaderList, body: bytes) -> None:
        """Send a whole answer; only if nothing was started."""
        ...


class Spawner(Protocol):
    """Runs a coroutine in the background and keeps hold of it."""

    def spawn(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> object:
        """Start it."""
        ...


class Delivery:
    """Hands one answer to a sink. Create it when the request is parsed; `close` it always."""

    def __init__(self, sink: Sink, spawner: Spawner, request_id: str, *, streams: bool) -> None:
        self._sink = sink
        self._spawner = spawner
        self._request_id = request_id
        self._streams = streams
        self._collected: list[Frame] = []
        self._loop = asyncio.get_running_loop()
        self._sent_s = self._loop.time()
        self._is_started = False
        self._is_pinging = False
        self.is_committed = False
        self._timer = self._loop.call_later(PING_INTERVAL_S, self._tick) if streams else None

    async def frames(self, frames: list[Frame], headers: HeaderList) -> None:
        """Pass on what one read of the upstream brought, in one write. The commit point."""
        if not self._streams:
            self._collected += frames
            return
        self.is_committed = True
        if not self._is_started:
            await self._start(headers)
        self._sent_s = self._loop.time()
        await self._sink.write(
            frames[0].wire if len(frames) == 1 else b"".join([frame.wire for frame in frames])
        )

    async def finish(self, headers: HeaderList) -> None:
        """The answer is complete.

        Raises:
            BrokeProtocol: nothing was sent yet and the collected frames are no whole message.
        """
        if self._streams:
            if not self._is_started:
                await self._start(headers)
            self.close()
            await self._sink.finish()
            return
        body = fold(self._collected)
        await self._sink.reply(200, self._headers(_JSON_HEADERS, headers), body)

    def restart(self) -> None:
        """Forget what an attempt left that failed before the commit."""
        self._collected.clear()

    async def refuse(self, error: ProxyError) -> None:
        """End with `error`: a status if none is out yet, else an `error` event."""
        self.close()
        if self._is_started:
            frame = error_frame(error.kind, error.message, self._request_id)
            await self._sink.write(frame.wire)
            await self._sink.finish()
            return
        await self._sink.reply(*error_answer(error, self._request_id))

    def close(self) -> None:
        """No more pings."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _start(self, headers: HeaderList) -> None:
        self._is_started = True
        await self._sink.start(self._headers(_SSE_HEADERS, headers))

    def _headers(self, own: dict[str, str], headers: HeaderList) -> HeaderList:
        """The proxy's own headers, unless the answer brings them; always a `request-id`."""
        given = {name.lower() for name, _ in headers}
        merged = [(name, value) for name, value in own.items() if name not in given]
        if "request-id" not in given:
            merged.append(("request-id", self._request_id))
        return merged + headers

    def _tick(self) -> None:
        """Ping if nothing was sent for the interval; one timer a stream, not one a frame."""
        rest_s = PING_INTERVAL_S - (self._loop.time() - self._sent_s)
        if rest_s <= 0:
            rest_s = PING_INTERVAL_S
            if not self._is_pinging:  # else the client reads slowly; one ping waits already
                self._is_pinging = True
                self._spawner.spawn(self._ping(), name="ping")
        self._timer = self._loop.call_later(rest_s, self._tick)

    async def _ping(self) -> None:
        if self._timer is None:
            return  # the answer ended between the tick and now
        try:
            if not self._is_started:
                await self._start([])
            self._sent_s = self._loop.time()
            await self._sink.write(PING_WIRE)
        except OSError:
            self.close()  # the client is gone; its handler learns it by itself
        finally:
            self._is_pinging = False


def error_answer(error: ProxyError, request_id: str) -> tuple[int, HeaderList, bytes]:
    """Status, headers and body of `error`; a backend's own words go through untouched."""
    if isinstance(error, Rejected) and error.verbatim is not None:
        headers = list(error.verbatim.headers)
        if not any(name.lower() == "request-id" for name, _ in headers):
            headers.append(("request-id", request_id))
        return error.verbatim.status, headers, error.verbatim.body
    return (
        error.status,
        [*_JSON_HEADERS.items(), ("request-id", request_id), *error_headers(error)],
        error_body(error.kind, error.message, request_id),
    )
