"""The only outgoing connections of the daemon.

One `UpstreamClient` lives as long as the process and keeps warm connections per host, so a
reload costs none of them. Every foreign exception becomes one of ours here, in `_translate`.
"""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401 - else loaded by the first connection, after the start
import io
from collections.abc import Mapping
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from llmproxyd.errors import BrokeProtocol, TimedOut, Unreachable, UpstreamError
from llmproxyd.spi import ResponseHead, Timeouts, UpstreamRequest
from llmproxyd.upstream.proxies import proxy_for

MAX_ERROR_BODY_BYTES: Final = 1024 * 1024
# Longer than the pause between two turns of a person, shorter than usual gateway limits.
_KEEPALIVE_S: Final = 60.0
# What a backend still sends after the end of an answer is read this long.
_DRAIN_S: Final = 0.25
# Far more than any server sends or takes; aiohttp's own 8 KiB is less than some do.
_MAX_HEADER_BYTES: Final = 64 * 1024
# Larger bodies are handed to the transport piece by piece, or their copy would hold up the loop.
_ONE_PIECE_BYTES: Final = 1024 * 1024
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)


class UpstreamClient:
    """Opens requests to backends. Build it inside the running loop; `close` it at the end."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        # What would be worked out anew for every request; as many as there are backends.
        self._proxies: dict[str, str | None] = {}
        self._connect_limits: dict[float, aiohttp.ClientTimeout] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S),
            timeout=_NO_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            read_bufsize=256 * 1024,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )

    async def open(
        self, request: UpstreamRequest, name: str, timeouts: Timeouts
    ) -> UpstreamResponse:
        """Send `request` to the backend called `name` and wait for status and headers.

        The caller closes the response, always.

        Raises:
            Unreachable: no connection, or closed before an answer.
            TimedOut: the connect or the first-byte limit expired.
            BrokeProtocol: what came back is not HTTP.
        """
        watchdog = Watchdog(name, timeouts)
        try:
            async with asyncio.timeout(timeouts.first_byte_s or None):
                response = await self._session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    data=_upload(request.body),
                    headers=CIMultiDict(request.headers),
                    allow_redirects=False,
                    proxy=self._proxy(request.url),
                    timeout=self._connect_limit(timeouts.connect_s),
                )
        except TimeoutError as error:
            raise _timed_out(error, name, timeouts) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translate(error, name) from None
        return UpstreamResponse(response, name, watchdog)

    def _proxy(self, url: str) -> str | None:
        origin = "/".join(url.split("/", 3)[:3])
        if origin not in self._proxies:
            self._proxies[origin] = proxy_for(url, self._environ)
        return self._proxies[origin]

    def _connect_limit(self, connect_s: float) -> aiohttp.ClientTimeout:
        if connect_s not in self._connect_limits:
            limit = aiohttp.ClientTimeout(total=None, sock_connect=connect_s or None)
            self._connect_limits[connect_s] = limit
        return self._connect_limits[connect_s]

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


class Watchdog:
    """Ends a response that stays silent too long while somebody waits for it.

    A client that does not read holds the relay up; that is no silence of the backend.

    One timer per response that looks at the last activity when it fires, so that a chunk costs
    an assignment and not a timer (3,000 frames a second pass here).
    """

    __slots__ = (
        "_is_waiting",
        "_limit_s",
        "_loop",
        "_name",
        "_response",
        "_seen_s",
        "_timeouts",
        "_timer",
        "error",
    )

    def __init__(self, name: str, timeouts: Timeouts) -> None:
        self._name = name
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._seen_s = self._loop.time()
        self._is_waiting = False
        self._limit_s = timeouts.first_byte_s
        self._timer: asyncio.TimerHandle | None = None
        self._response: aiohttp.ClientResponse | None = None
        self.error: TimedOut | None = None

    def start(self, response: aiohttp.ClientResponse) -> None:
        """Watch `response` until `stop`."""
        self._response = response
        self._arm(self._limit_s)

    def expect(self) -> None:
        """Somebody waits for bytes from now on."""
        self._is_waiting = True
        self._seen_s = self._loop.time()

    def touch(self) -> None:
        """Bytes have come: from the next wait on the idle limit holds."""
        self._is_waiting = False
        if self._limit_s != self._timeouts.idle_s:
            self._limit_s = self._timeouts.idle_s
            self._arm(self._limit_s)

    def stop(self) -> None:
        """The response is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, delay_s: float) -> None:
        self.stop()
        if self._limit_s > 0:
            self._timer = self._loop.call_later(delay_s, self._fire)

    def _fire(self) -> None:
        silent_s = self._loop.time() - self._seen_s if self._is_waiting else 0.0
        if silent_s < self._limit_s:
            self._arm(self._limit_s - silent_s)
            return
        self.error = TimedOut(
            f"[{self._name}] the backend sent nothing for {self._limit_s:g} s; "
            f"raise timeouts.idle or timeouts.first_byte of backend {self._name} if that is normal"
        )
        if self._response is not None:
            self._response.close()


class UpstreamResponse:
    """An answer whose headers are in. Read it to b"" or close it early; then close it."""

    __slots__ = ("_name", "_response", "_watchdog", "head")

    def __init__(self, response: aiohttp.ClientResponse, name: str, watchdog: Watchdog) -> None:
        self._response = response
        self._name = name
        self._watchdog = watchdog
        self.head = ResponseHead(
            response.status,
            tuple((key.lower(), value) for key, value in response.headers.items()),
        )
        watchdog.start(response)

    async def read(self) -> bytes:
        """Whatever has arrived, at least one byte; b"" at the end of the body.

        Raises:
            TimedOut: silent for longer than the idle limit.
            BrokeProtocol: the connection broke inside the body.
        """
        self._watchdog.expect()
        try:
            data = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            if self._watchdog.error is not None:
                raise self._watchdog.error from None
            raise BrokeProtocol(
                f"[{self._name}] the backend closed the connection in the middle of its answer"
            ) from error
        self._watchdog.touch()
        return data

    async def read_error(self) -> bytes:
        """The body of an error answer, cut at 1 MiB; what was read if it breaks."""
        body = bytearray()
        try:
            while len(body) < MAX_ERROR_BODY_BYTES and (data := await self.read()):
                body += data
        except UpstreamError:
            pass
        return bytes(body[:MAX_ERROR_BODY_BYTES])

    async def drain(self) -> None:
        """Close it once the few bytes that end a body are read: its connection stays usable."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while await self.read():
                    pass
        except (TimeoutError, UpstreamError):
            pass
        finally:
            self.close()

    @property
    def is_at_end(self) -> bool:
        """The whole body has been received, so closing keeps the connection warm."""
        return self._response.content.at_eof()

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else cut it off."""
        self._watchdog.stop()
        if self.is_at_end:
            self._response.release()
        else:
            self._response.close()


def _upload(body: bytes) -> bytes | io.BytesIO | None:
    return io.BytesIO(body) if len(body) > _ONE_PIECE_BYTES else body or None


def _timed_out(error: TimeoutError, name: str, timeouts: Timeouts) -> TimedOut:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TimedOut(f"[{name}] no connection to the backend within {timeouts.connect_s:g} s")
    return TimedOut(
        f"[{name}] the backend sent no answer within {timeouts.first_byte_s:g} s; "
        f"raise timeouts.first_byte of backend {name} if it needs longer"
    )


def _translate(error: Exception, name: str) -> UpstreamError:
    """The one table from foreign exceptions to ours."""
    if isinstance(error, aiohttp.ClientResponseError):
        return BrokeProtocol(f"[{name}] the backend's answer is not valid HTTP")
    match error:
        case aiohttp.ClientConnectorDNSError():
            why = f"the host name {error.host} of the backend is not known"
        case aiohttp.ClientConnectorCertificateError():
            why = f"the certificate of {error.host} is not trusted: {error.certificate_error}"
        case aiohttp.ClientSSLError():
            why = f"no TLS connection to {error.host}:{error.port}: {error.os_error}"
        case aiohttp.ClientProxyConnectionError():
            why = f"the proxy {error.host}:{error.port} is not reachable"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return Unreachable(f"backend {name} is not running at {error.host}:{error.port}")
        case aiohttp.ClientConnectorError():
            why = f"{error.host}:{error.port} is not reachable: {error.os_error.strerror}"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            why = "the backend closed the connection before it answered"
        case _:
            why = f"the backend is not reachable: {type(error).__name__}"
    return Unreachable(f"[{name}] {why}")
