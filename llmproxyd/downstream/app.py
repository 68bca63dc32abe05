"""The proxy port: one table from path to handler, and what holds for every request.

aiohttp's low-level server is used without an application (ADR 7). Every answer, errors on unknown
paths included, has a `request-id`; every error has Anthropic's envelope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol
from urllib.parse import unquote

import msgspec
from aiohttp import web

from llmproxyd.delivery import HeaderList, error_answer
from llmproxyd.downstream import guard
from llmproxyd.downstream.body import read_body
from llmproxyd.downstream.chat import ChatSink
from llmproxyd.downstream.models import ModelLists
from llmproxyd.downstream.sink import HttpSink
from llmproxyd.errors import DownstreamError, ProxyError
from llmproxyd.ledger.record import Record
from llmproxyd.pipeline import CRASHED, Pipeline
from llmproxyd.reload.snapshot import Snapshot
from llmproxyd.reload.store import SnapshotStore
from llmproxyd.reverse.answer import ChatOutlet
from llmproxyd.reverse.errors import from_anthropic
from llmproxyd.reverse.request import to_messages
from llmproxyd.wire.messages import Headers, MessagesRequest, parse_request

_MODELS: Final = "/v1/models"
_CHAT: Final = "/v1/chat/completions"
_SESSION_HEADER: Final = "x-claude-code-session-id"
# A stranger's path is logged so far.
_SHOWN_CHARS: Final = 200


class Admission(Protocol):
    """Who may begin a request now; keeps track of those in flight."""

    def admit(self, request_id: str, path: str) -> AbstractContextManager[object]:
        """Enter for the time of one request. Raises Draining when no new ones are taken."""
        ...


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def info(self, event: str, **fields: Any) -> None:
        """Log an event."""
        ...

    def exception(self, event: str, **fields: Any) -> None:
        """Log the exception being handled."""
        ...


class Proxied(msgspec.Struct, frozen=True, kw_only=True):
    """What the proxy port needs.

    Attributes:
        health: the body of `GET /health`, from what is known; must not block.
        is_loopback_only: the port is bound to loopback addresses only.
    """

    pipeline: Pipeline
    store: SnapshotStore
    admission: Admission
    models: ModelLists
    health: Callable[[], dict[str, Any]]
    entropy: Callable[[int], str]
    clock: Callable[[], float]
    unix_time: Callable[[], float]
    log: Log
    is_loopback_only: bool = True


class ProxyApp:
    """Handles every request of the proxy port."""

    def __init__(self, parts: Proxied) -> None:
        self._parts = parts
        self._posts: dict[str, Callable[[web.BaseRequest, str, str], Awaitable[Answer]]] = {
            "/v1/messages": self._messages,
            "/v1/messages/count_tokens": self._count_tokens,
            _CHAT: self._chat,
        }
        self._gets: dict[str, Callable[[web.BaseRequest, str, str], Awaitable[Answer]]] = {
            "/": self._hello,
            "/api/hello": self._hello,
            "/health": self._health,
            _MODELS: self._list_models,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever goes wrong is answered too."""
        request_id = "req_" + self._parts.entropy(24)
        try:
            guard.check(
                request.method, request.headers, is_loopback_only=self._parts.is_loopback_only
            )
            return await self._dispatch(request, request_id)
        except ProxyError as error:
            # The pipeline logs what it has taken; this is all that never came so far.
            path = request.raw_path.partition("?")[0]
            self._parts.log.info(
                "request_refused",
                request_id=request_id,
                method=request.method,
                path=path[:_SHOWN_CHARS],
                status=error.status,
                error=error.message[:_SHOWN_CHARS],
            )
            return _refusal(error, request_id, path)
        except ConnectionError:
            raise  # the client is gone; there is nobody to answer
        except Exception:
            self._parts.log.exception("request_crashed", request_id=request_id)
            return _refusal(ProxyError(CRASHED), request_id, request.raw_path)

    async def _dispatch(self, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path in self._posts:
            _allow(request, "POST")
            return await self._posts[path](request, request_id, query)
        if path in self._gets:
            _allow(request, "GET", "HEAD")
            return await self._gets[path](request, request_id, query)
        if path.startswith(f"{_MODELS}/"):
            _allow(request, "GET", "HEAD")
            return await self._find_model(request, request_id, path)
        raise DownstreamError(f"no such path: {path}", status=404, kind="not_found_error")

    async def _messages(self, request: web.BaseRequest, request_id: str, query: str) -> Answer:
        snapshot = self._parts.store.current
        parsed = await self._read(request, snapshot, query)
        record = self._record(parsed, request_id, "/v1/messages")
        return await self._answer(parsed, snapshot, record, HttpSink(request))

    async def _chat(self, request: web.BaseRequest, request_id: str, query: str) -> Answer:
        snapshot = self._parts.store.current
        raw = await read_body(request, snapshot.config.server.max_body_bytes)
        asked = to_messages(raw)
        parsed = parse_request(asked.body, _headers(request), query)
        record = self._record(parsed, request_id, _CHAT)
        outlet = ChatOutlet(
            f"chatcmpl-{self._parts.entropy(24)}",
            int(self._parts.unix_time()),
            asked.model,
            include_usage=asked.include_usage,
        )
        return await self._answer(parsed, snapshot, record, ChatSink(HttpSink(request), outlet))

    async def _answer(
        self, parsed: MessagesRequest, snapshot: Snapshot, record: Record, sink: HttpSink | ChatSink
    ) -> Answer:
        with self._parts.admission.admit(record.request_id, record.path):
            await self._parts.pipeline.messages(parsed, snapshot, record, sink)
        if sink.response is None:
            raise RuntimeError("the pipeline gave no answer")
        return sink.response

    async def _count_tokens(self, request: web.BaseRequest, request_id: str, query: str) -> Answer:
        snapshot = self._parts.store.current
        parsed = await self._read(request, snapshot, query)
        record = self._record(parsed, request_id, "/v1/messages/count_tokens")
        with self._parts.admission.admit(request_id, record.path):
            answer = await self._parts.pipeline.count_tokens(parsed, snapshot, record)
        return _response(*answer)

    async def _read(
        self, request: web.BaseRequest, snapshot: Snapshot, query: str
    ) -> MessagesRequest:
        raw = await read_body(request, snapshot.config.server.max_body_bytes)
        return parse_request(raw, _headers(request), query)

    def _record(self, parsed: MessagesRequest, request_id: str, path: str) -> Record:
        return Record(
            request_id=request_id,
            started_s=self._parts.clock(),
            model=parsed.model,
            is_stream=parsed.stream,
            path=path,
            session=parsed.header(_SESSION_HEADER),
        )

    async def _hello(self, request: web.BaseRequest, request_id: str, query: str) -> Answer:
        return _json(200, b'{"status":"ok"}', request_id)

    async def _health(self, request: web.BaseRequest, request_id: str, query: str) -> Answer:
        return _json(200, msgspec.json.encode(self._parts.health()), request_id)

    async def _list_models(self, request: web.BaseRequest, request_id: str, query: str) -> Answer:
        snapshot = self._parts.store.current
        body = await self._parts.models.page(snapshot, _headers(request), query)
        return _json(200, body, request_id)

    async def _find_model(self, request: web.BaseRequest, request_id: str, path: str) -> Answer:
        snapshot = self._parts.store.current
        model_id = unquote(path.removeprefix(f"{_MODELS}/"))
        body = await self._parts.models.find(snapshot, _headers(request), model_id)
        return _json(200, body, request_id)


Answer = web.StreamResponse


def _refusal(error: ProxyError, request_id: str, path: str) -> web.Response:
    """`error` in the envelope that the clients of `path` know."""
    status, headers, body = error_answer(error, request_id)
    return _response(status, headers, from_anthropic(body) if path.startswith(_CHAT) else body)


def _allow(request: web.BaseRequest, *methods: str) -> None:
    if request.method not in methods:
        raise DownstreamError(
            f"{request.method} is not allowed here; use {' or '.join(methods)}", status=405
        )


def _headers(request: web.BaseRequest) -> Headers:
    return tuple(request.headers.items())


def _json(status: int, body: bytes, request_id: str) -> web.Response:
    return _response(
        status, [("content-type", "application/json"), ("request-id", request_id)], body
    )


def _response(status: int, headers: HeaderList, body: bytes) -> web.Response:
    return web.Response(status=status, headers=headers, body=body)
