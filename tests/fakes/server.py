"""What every fake upstream shares: a server on a free port, a log of requests, rules and faults.

    async with AnthropicStub() as stub:
        stub.rule(Answer(drop=True), times=1)
        ...
        request = await stub.arrival(kind="main")
        await request.client_left.wait()

A fake runs in the event loop of its test, so a test reads its log and waits on its events directly.
`python -m tests.fakes.NAME --port N --log FILE` runs one on its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from multidict import CIMultiDict

from tests.fakes.answers import Answer, Talk, scripted, text

KEEPALIVE_S = 5.0


@dataclass(eq=False)
class Seen:
    """One request as it arrived, and what became of it. Times are `time.monotonic()`.

    Attributes:
        kind: what sort of call it is (`main`, `side`, `compact`, `models`, …).
        action: which rule or script answered it.
        problems: what a strict server would have refused it for.
        release: set it to let a `hold` answer go on.
        client_left: set when the connection went away before the answer was complete.
        finished: set when the fake is done with it, whichever way.
    """

    seq: int
    method: str
    path: str
    query: str
    headers: CIMultiDict[str]
    raw: bytes
    body: Any
    connection: str
    kind: str = "other"
    action: str = ""
    status: int = 0
    events: int = 0
    problems: list[str] = field(default_factory=list)
    arrived_at: float = field(default_factory=time.monotonic)
    left_at: float | None = None
    release: asyncio.Event = field(default_factory=asyncio.Event)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    def as_record(self) -> dict[str, Any]:
        """A line of the JSON log."""
        return {
            "seq": self.seq,
            "kind": self.kind,
            "action": self.action,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": list(self.headers.items()),
            "connection": self.connection,
            "body_bytes": len(self.raw),
            "body": self.body,
            "status": self.status,
            "events": self.events,
            "client_left": self.client_left.is_set(),
            "problems": self.problems,
        }


@dataclass
class Rule:
    """An answer for requests that match, `times` of them (None: all)."""

    answer: Answer
    matches: Callable[[Seen], bool]
    times: int | None


class FakeServer:
    """An aiohttp server on 127.0.0.1 that answers from scripts and keeps a log."""

    name = "fake"

    def __init__(self, *, port: int = 0, log: Path | None = None) -> None:
        self.requests: list[Seen] = []
        self.rules: list[Rule] = []
        self.attempts: Counter[tuple[Any, ...]] = Counter()
        self._seq = itertools.count(1)
        self._port = port
        self._log = log
        self._connections: dict[Any, list[int]] = {}
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=256 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._runner is not None
        for seen in self.requests:
            seen.release.set()
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """Its base URL, without a path."""
        return f"http://127.0.0.1:{self._port}"

    # ---- for tests
    def rule(
        self,
        answer: Answer,
        *,
        when: Callable[[Seen], bool] = lambda seen: True,
        times: int | None = None,
    ) -> None:
        """Answer matching requests so, before any script is looked at."""
        self.rules.append(Rule(answer, when, times))

    def of(self, *kinds: str) -> list[Seen]:
        """The requests of these kinds, oldest first."""
        return [seen for seen in self.requests if seen.kind in kinds]

    async def arrival(self, *, kind: str = "main", count: int = 1, timeout_s: float = 30) -> Seen:
        """Wait for the `count`-th request of a kind."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    @property
    def problems(self) -> list[str]:
        """Everything that a strict server would have refused, of all requests."""
        return [f"{seen.path}: {problem}" for seen in self.requests for problem in seen.problems]

    # ---- for the wire formats
    def kind_of(self, seen: Seen) -> str:
        """What sort of call a request is."""
        raise NotImplementedError

    def talk_of(self, seen: Seen) -> Talk:
        """The conversation in a request, for its markers."""
        raise NotImplementedError

    async def respond(self, request: web.Request, seen: Seen, answer: Answer) -> web.StreamResponse:
        """Render `answer` in the wire format."""
        raise NotImplementedError

    def default_answer(self, seen: Seen) -> Answer:
        """The answer of a request without rule and script."""
        if seen.kind == "compact":
            summary = "<analysis>stub</analysis><summary>Stub summary of the talk.</summary>"
            return Answer(content=(text(summary),))
        return Answer()

    # ---- choosing
    def _choose(self, seen: Seen) -> tuple[Answer, str]:
        for rule in self.rules:
            if rule.times != 0 and rule.matches(seen):
                if rule.times is not None:
                    rule.times -= 1
                return rule.answer, "rule"
        if not isinstance(seen.body, dict):
            return self.default_answer(seen), "default"
        talk = self.talk_of(seen)
        marker = talk.marker()
        if marker is None or (seen.kind != "main" and marker.params.get("any") != "1"):
            return self.default_answer(seen), f"default:{seen.kind}"
        key = (self.session_of(seen), marker.name, str(sorted(marker.params.items())), marker.turn)
        self.attempts[key] += 1
        count = self.attempts[key]
        if "times" in marker.params and count > int(marker.params["times"]):
            recovered = f"stub-recovered after {count - 1} failures"
            return Answer(content=(text(recovered),)), f"{marker.name}:recovered"
        label = f"{marker.name}:turn{marker.turn}:attempt{count}"
        return scripted(marker, talk.cwd), label

    def session_of(self, seen: Seen) -> str:
        """What keeps the attempts of two sessions apart, if anything does."""
        return seen.headers.get("x-claude-code-session-id", "-")

    # ---- handling
    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        seen = self._record(request, raw)
        seen.kind = self.kind_of(seen)
        self.requests.append(seen)
        async with self._news:
            self._news.notify_all()
        answer, seen.action = self._choose(seen)
        try:
            if answer.wait_before_headers_s:
                await asyncio.sleep(answer.wait_before_headers_s)
            if answer.drop:
                return self._dropped(request)
            if answer.raw is not None:
                return web.Response(
                    status=answer.raw.status,
                    body=answer.raw.body,
                    headers={"content-type": answer.raw.content_type},
                )
            response = await self.respond(request, seen, answer)
            seen.status = response.status
            return response
        except (ConnectionError, asyncio.CancelledError):
            seen.left_at = time.monotonic()
            seen.client_left.set()
            raise
        finally:
            seen.finished.set()
            if self._log is not None:
                with self._log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(seen.as_record(), ensure_ascii=False) + "\n")

    def _record(self, request: web.Request, raw: bytes) -> Seen:
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw.decode("utf-8", "replace")
        peer = request.transport.get_extra_info("peername") if request.transport else None
        count = self._connections.setdefault(peer, [len(self._connections) + 1, 0])
        count[1] += 1
        return Seen(
            seq=next(self._seq),
            method=request.method,
            path=request.path,
            query=request.query_string,
            headers=CIMultiDict(request.headers),
            raw=raw,
            body=body,
            connection=f"#{count[0]}:{count[1]}",
        )

    @staticmethod
    def _dropped(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def stream(
        self, request: web.Request, seen: Seen, answer: Answer, events: list[bytes]
    ) -> web.StreamResponse:
        """Send `events` as one chunked answer, with the faults that `answer` asks for."""
        headers = {"cache-control": "no-cache", "content-type": answer.content_type}
        headers.update(self.answer_headers(seen))
        response = web.StreamResponse(status=200, headers=headers)
        response.enable_chunked_encoding()
        seen.status = 200
        await response.prepare(request)
        if answer.empty:
            await response.write_eof()
            return response
        pulse = self.keepalive(answer.keepalive)
        await _pause(response, answer.wait_after_headers_s, pulse)
        for position, event in enumerate(events):
            if answer.cut_after == position:
                return await _cut(request, response, answer.cut_mode)
            if answer.error_after == position:
                await response.write(self.error_event(answer))
                break
            if answer.stall_after == position:
                await _pause(response, answer.stall_s, pulse)
            if answer.hold_after == position:
                await seen.release.wait()
            await _send(response, event.replace(b"\n", b"\r\n") if answer.crlf else event, answer)
            seen.events += 1
            if answer.wait_between_s:
                await asyncio.sleep(answer.wait_between_s)
        await response.write_eof()
        return response

    def keepalive(self, name: str) -> bytes | None:
        """What goes out during a pause, by the value of `ping=`; None for nothing."""
        return b": keepalive\n\n" if name != "0" else None

    def error_event(self, answer: Answer) -> bytes:
        """The error event of a stream that fails half-way."""
        raise NotImplementedError

    def answer_headers(self, seen: Seen) -> dict[str, str]:
        """Headers that every answer of this server carries."""
        return {}


async def _send(response: web.StreamResponse, data: bytes, answer: Answer) -> None:
    if not answer.split:
        await response.write(data)
        return
    for start in range(0, len(data), 7):
        await response.write(data[start : start + 7])
        await asyncio.sleep(0)


async def _pause(response: web.StreamResponse, seconds: float, pulse: bytes | None) -> None:
    while seconds > 0:
        step = min(seconds, KEEPALIVE_S)
        await asyncio.sleep(step)
        seconds -= step
        if pulse is not None and seconds > 0:
            await response.write(pulse)


async def _cut(request: web.Request, response: web.StreamResponse, mode: str) -> web.StreamResponse:
    """End a stream early: `clean` well-formed, `fin` inside the chunked body, `rst` by a reset."""
    if mode == "clean":
        await response.write_eof()
        return response
    assert request.transport is not None
    await asyncio.sleep(0.05)  # what was written should arrive before the end does
    if mode == "rst":
        sock: socket.socket = request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    else:
        request.transport.close()
    return response


def run(make: Callable[[int, Path | None], FakeServer], description: str) -> None:
    """Run a fake on its own until SIGTERM; prints `READY port`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, help="append one JSON line per request here")
    options = parser.parse_args()

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with make(options.port, options.log) as server:
            print("READY", server.port, flush=True)
            await stop.wait()

    asyncio.run(serve())
