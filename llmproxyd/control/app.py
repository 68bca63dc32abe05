"""The control API: one table from path to handler, behind one guard.

The guard lets in processes of our own user and root only, and nothing that a browser could have
sent, although a page can not open a Unix socket by itself: a careless relay could (daemon spec,
section 1).
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

import msgspec
from aiohttp import web

from llmproxyd.control import schema
from llmproxyd.control.peercred import Peer, peer_of
from llmproxyd.control.schema import (
    ErrorReply,
    ReloadReply,
    Status,
    StopRequest,
    UseRequest,
    VersionReply,
)
from llmproxyd.errors import Problem

_BROWSER_HEADERS: Final = ("Origin", "Referer", "Sec-Fetch-Site")
_ROOT_UID: Final = 0
_KEEPALIVE_S: Final = 15.0
_SHUTDOWN_S: Final = 2.0

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def info(self, event: str, **fields: Any) -> None:
        """Log an event."""
        ...

    def error(self, event: str, **fields: Any) -> None:
        """Log a failure of ours."""
        ...


class ControlHost(Protocol):
    """The daemon, as the control API needs it."""

    def status(self) -> Status:
        """How things stand; quick, from what is known."""
        ...

    async def reload(self) -> ReloadReply:
        """Read the configuration again; a refusal is an answer, not an exception."""
        ...

    async def use(self, backend: str) -> ReloadReply:
        """Make `backend` the active one; an unknown name is a refusal."""
        ...

    def stop(self, grace_s: float | None) -> None:
        """Begin to drain and return at once; None means the configured drain timeout."""
        ...


class _Refused(Exception):
    """Why a call is not answered; becomes problem+json."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class ControlApp:
    """The handlers, bound to one host.

    Args:
        host: the daemon.
        log: gets one line per call that changes something, with pid and uid of the caller.
        uid: the user that may call, besides root; the daemon's own by default.
    """

    def __init__(self, host: ControlHost, log: Log, *, uid: int | None = None) -> None:
        self._host = host
        self._log = log
        self._allowed = {os.geteuid() if uid is None else uid, _ROOT_UID}

    def build(self) -> web.Application:
        """A fresh aiohttp application."""
        app = web.Application(middlewares=[self._guard], client_max_size=schema.MAX_BODY_BYTES)
        table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", schema.VERSION_PATH, self._version),
            ("GET", schema.STATUS_PATH, self._status),
            ("POST", schema.RELOAD_PATH, self._reload),
            ("POST", schema.USE_PATH, self._use),
            ("POST", schema.STOP_PATH, self._stop),
        )
        for method, path, handler in table:
            app.router.add_route(method, path, handler)
        return app

    async def _version(self, _request: web.Request) -> web.Response:
        return _reply(VersionReply())

    async def _status(self, _request: web.Request) -> web.Response:
        return _reply(self._host.status())

    async def _reload(self, _request: web.Request) -> web.Response:
        return _reloaded(await self._host.reload())

    async def _use(self, request: web.Request) -> web.Response:
        return _reloaded(await self._host.use((await _body(request, UseRequest)).backend))

    async def _stop(self, request: web.Request) -> web.Response:
        grace_s = (await _body(request, StopRequest)).grace_s
        if grace_s is not None and not (math.isfinite(grace_s) and grace_s >= 0):
            raise _Refused(HTTPStatus.BAD_REQUEST, "grace_s must be a number of seconds, 0 or more")
        self._host.stop(grace_s)
        return _reply(self._host.status(), HTTPStatus.ACCEPTED)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            peer = self._admit(request)
            if request.method != "GET":
                self._log.info("control_called", path=request.path, pid=peer.pid, uid=peer.uid)
            response = await handler(request)
        except _Refused as refusal:
            response = _problem(refusal.status, refusal.detail)
        except web.HTTPException as error:
            response = _problem(HTTPStatus(error.status), error.reason)
            if allowed := error.headers.get("Allow"):
                response.headers["Allow"] = allowed
        except Exception as error:  # noqa: BLE001  # a bug of ours must not look like a dead daemon
            self._log.error("control_failed", path=request.path, exc_info=error)
            response = _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error, see the log")
        response.headers[schema.VERSION_HEADER] = schema.VERSION
        response.headers[schema.API_HEADER] = str(schema.API_VERSION)
        return response

    def _admit(self, request: web.Request) -> Peer:
        peer = _peer(request)
        if peer is None or peer.uid not in self._allowed:
            raise _Refused(HTTPStatus.FORBIDDEN, "the control socket serves its own user only")
        if request.headers.get("Host") != schema.HOST_NAME or request.raw_path[:1] != "/":
            raise _Refused(HTTPStatus.FORBIDDEN, f"Host must be {schema.HOST_NAME}")
        for name in _BROWSER_HEADERS:
            if name in request.headers:
                raise _Refused(HTTPStatus.FORBIDDEN, f"{name} is refused: no web page calls this")
        if request.method == "POST" and request.content_type != schema.JSON_TYPE:
            raise _Refused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type must be {schema.JSON_TYPE}"
            )
        return peer


async def serve_control(
    host: ControlHost, listener: socket.socket, log: Log, *, uid: int | None = None
) -> web.AppRunner:
    """Serve the control API on a bound Unix socket until the runner's `cleanup()`.

    `listener` comes from `service.sockets.control_listener`, or from a service manager.
    """
    runner = web.AppRunner(
        ControlApp(host, log, uid=uid).build(),
        access_log=None,
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner


def _peer(request: web.Request) -> Peer | None:
    sock = request.transport.get_extra_info("socket") if request.transport else None
    try:
        return None if sock is None else peer_of(sock)
    except OSError:
        return None


async def _body(request: web.Request, kind: type[T]) -> T:
    raw = await request.read()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"invalid body: {error}") from None


def _reply(value: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type=schema.JSON_TYPE
    )


def _reloaded(reply: ReloadReply) -> web.Response:
    if reply.ok:
        return _reply(reply)
    detail = "refused; the configuration in force stays"
    return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, problems=reply.problems)


def _problem(
    status: HTTPStatus, detail: str, *, problems: tuple[Problem, ...] = ()
) -> web.Response:
    error = ErrorReply(title=status.phrase, status=status, detail=detail, problems=problems)
    return web.Response(
        body=msgspec.json.encode(error), status=status, content_type=schema.PROBLEM_TYPE
    )
