"""The proxy port as users have it, on a real port, between a client and a scripted backend.

It is the daemon itself, in the test's own process.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest

from llmproxyd import daemon
from llmproxyd.service.ready import Ready
from tests.conformance.grammar import Event, aggregate, check_message, check_stream, read
from tests.conformance.upstream import Upstream

KINDS = daemon.discover()
CLIENT_KEY = "client-key-7d1f"
CLIENT_HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br, zstd",
    "anthropic-version": "2023-06-01",
    "x-api-key": CLIENT_KEY,
}


@dataclass
class Answer:
    """What the client got."""

    status: int
    headers: dict[str, str]
    raw: bytes
    history_ids: Collection[str] = ()
    events: list[Event] = field(default_factory=list)

    @property
    def is_stream(self) -> bool:
        """It is server-sent events."""
        return self.headers["content-type"].startswith("text/event-stream")

    @property
    def json(self) -> Any:
        """The JSON body."""
        return json.loads(self.raw)

    @property
    def message(self) -> Event:
        """The message in it, whichever way it came."""
        assert 200 == self.status, self.raw
        return aggregate(self.events) if self.is_stream else self.json

    @property
    def content(self) -> list[Event]:
        """The blocks of the message."""
        content: list[Event] = self.message["content"]
        return content

    @property
    def error(self) -> tuple[int, str, str]:
        """Status (200 for an event), type and message of the error that it is or ends with."""
        body = self.events[-1] if self.is_stream else self.json
        return self.status, body["error"]["type"], body["error"]["message"]

    @property
    def story(self) -> list[str]:
        """The stream in the notation of section 9, pings and the types of blocks included."""
        return [_word(event) for event in self.events]

    def check(self) -> None:
        """What holds for every answer."""
        assert self.headers["request-id"].startswith("req_")
        if self.is_stream:
            self._check_stream()
        elif self.status != 200:
            assert "error" == self.json["type"]
            assert self.headers["request-id"] == self.json["request_id"]
            assert {"type", "message"} == set(self.json["error"])
        elif self.json.get("type") == "message":
            check_message(self.json, self.history_ids)

    def _check_stream(self) -> None:
        assert 200 == self.status
        assert "text/event-stream; charset=utf-8" == self.headers["content-type"]
        assert "no-cache" == self.headers["cache-control"]
        assert "no" == self.headers["x-accel-buffering"]
        assert not {"content-length", "content-encoding"} & set(self.headers)
        self.events = read(self.raw)
        check_stream(self.events, self.history_ids)


_WORDS = {
    "message_start": "MS",
    "content_block_start": "BS",
    "content_block_delta": "BD",
    "content_block_stop": "BE",
    "message_delta": "MD",
    "message_stop": "ME",
}


def _word(event: Event) -> str:
    word: str = _WORDS.get(event["type"]) or event["type"]
    return f"BS({event['content_block']['type']})" if word == "BS" else word


class Rig:
    """A proxy with one backend, named `up`, and a client."""

    def __init__(self, url: str, upstream: Upstream, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.upstream = upstream
        self.session = session
        self.output = io.StringIO()

    async def ask(
        self,
        body: Any,
        path: str = "/v1/messages?beta=true",
        history_ids: Collection[str] = (),
        **headers: str,
    ) -> Answer:
        """Post a request and read its answer to the end; the answer is checked."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(
            self.url + path, data=io.BytesIO(raw), headers=CLIENT_HEADERS | named
        ) as got:
            answer = Answer(got.status, _lower(got.headers), await got.read(), history_ids)
        answer.check()
        return answer

    async def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Get a path, without any header of a client."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, self.url + path, headers=named) as got:
            return Answer(got.status, _lower(got.headers), await got.read())

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log events called `event`."""
        lines = map(json.loads, self.output.getvalue().splitlines())
        return [line for line in lines if line["event"] == event]

    @property
    def notes(self) -> list[str]:
        """What the log says was dropped or odd in the last request."""
        notes: list[str] = self.logged("request_finished")[-1].get("notes", [])
        return notes


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@asynccontextmanager
async def rig(config: str, upstream: Upstream) -> AsyncIterator[Rig]:
    """Serve what `config` says; `upstream` is where it leads."""
    async with AsyncExitStack() as stack:
        # Not pytest's folder: the path of a Unix socket must be short.
        home = Path(stack.enter_context(TemporaryDirectory(prefix="llmproxyd-")))
        path = home / "config.toml"
        path.touch(mode=0o600)
        path.write_text(config)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        )
        made = Rig("", upstream, session)
        with _as_a_guest(home):
            made.url = await _start(path, made.output, stack)
            yield made


@contextmanager
def _as_a_guest(home: Path) -> Iterator[None]:
    """The daemon leaves alone what belongs to the whole process: signals, collector, home.

    And it need not look for providers again, which is half the work of a start.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        patch.setattr(daemon, "discover", lambda _: KINDS)
        patch.setattr(daemon, "signal_handlers", lambda **_: nullcontext())
        patch.setattr(daemon, "_keep_pauses_short", lambda: None)
        yield


async def _start(config: Path, output: io.StringIO, stack: AsyncExitStack) -> str:
    """Start a daemon that `stack` stops; its address."""
    socket = config.parent / "run" / "control.sock"
    options = daemon.Options(config=str(config), port="0", socket=str(socket))
    ready = Started(None)
    task = asyncio.ensure_future(daemon._serve(options, {}, ready, output))
    stack.push_async_callback(_stop, task)
    ending = asyncio.ensure_future(ready.word.wait())
    await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    return f"http://127.0.0.1:{ready.status['port']}"


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Started(Ready):
    """Keeps the status that a started daemon tells."""

    def __init__(self, fd: int | None) -> None:
        super().__init__(fd)
        self.word = asyncio.Event()
        self.status: Mapping[str, Any] = {}

    def ok(self, status: Mapping[str, Any]) -> None:
        """The port answers."""
        self.status = status
        self.word.set()
