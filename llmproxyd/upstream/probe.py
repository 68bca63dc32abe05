"""Which dialect a self-hosted server speaks, found out once per URL and kept.

Detection never generates tokens. First the model list is asked for: its shape or its owner
tells most servers apart. If it does not, the two endpoints are asked for with GET: a server that
has one says 405. One that says 404 to that, too, gets an empty JSON object, which it refuses if the
endpoint is there. Chat Completions wins where both exist, because the Messages endpoints of the
servers that offer both are the less faithful ones (translation spec, sections 8 and 12).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from llmproxyd.errors import Unreachable, UpstreamError
from llmproxyd.spi import BackendEntry, Dialect, Timeouts, UpstreamRequest, versioned_url
from llmproxyd.upstream.client import UpstreamClient

_TIMEOUTS: Final = Timeouts(connect_s=5.0, first_byte_s=10.0, idle_s=10.0)
_WRONG_METHOD: Final = 405
_ABSENT: Final = frozenset({404, _WRONG_METHOD, 410, 501})
# Chat Completions first: see above.
_ENDPOINTS: Final = (("openai", "chat/completions"), ("anthropic", "messages"))
_NOT_A_LIST: Final = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
    LookupError,
    TypeError,
    AttributeError,
)
_OWNERS_OF_CHAT: Final = frozenset({"vllm", "llamacpp", "library", "litellm", "sglang"})


class ProtocolProbe:
    """Knows, or finds out, the dialect of every backend entry. Lives as long as the process."""

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client
        self._known: dict[str, Dialect] = {}
        self._running: dict[str, asyncio.Task[Dialect]] = {}

    def known(self, entry: BackendEntry) -> Dialect | None:
        """The dialect of `entry` if it needs no detection, or has had one."""
        return entry.dialect or self._known.get(entry.url)

    async def dialect_of(self, entry: BackendEntry) -> Dialect:
        """The dialect of `entry`, detecting it now if need be; callers share one detection.

        Raises:
            UpstreamError: the server did not answer; the next caller tries again.
        """
        known = self.known(entry)
        if known is not None:
            return known
        task = self._running.get(entry.url)
        if task is None:
            task = asyncio.ensure_future(self._detect(entry))
            self._running[entry.url] = task
            task.add_done_callback(lambda done: self._settle(entry.url, done))
        return await asyncio.shield(task)

    def _settle(self, url: str, task: asyncio.Task[Dialect]) -> None:
        self._running.pop(url, None)
        if not task.cancelled() and task.exception() is None:
            self._known[url] = task.result()

    async def _detect(self, entry: BackendEntry) -> Dialect:
        dialects = {dialect.name: dialect for dialect in entry.backend.dialects}
        listed = _dialect_of_list(await self._ask(entry, "GET", "models", b""))
        if listed is None:
            listed = await self._endpoint_of(entry)
        if listed is None or listed not in dialects:
            raise Unreachable(
                f"[{entry.name}] {entry.url} speaks neither Chat Completions nor Messages; "
                f"check the url, or set protocol of backend {entry.name}"
            )
        return dialects[listed]

    async def _endpoint_of(self, entry: BackendEntry) -> str | None:
        """Which endpoint is there: first by asking in a way that runs nothing on most servers."""
        for name, path in _ENDPOINTS:
            status, _ = await self._ask(entry, "GET", path, b"")
            if status == _WRONG_METHOD:
                return name
        for name, path in _ENDPOINTS:
            status, _ = await self._ask(entry, "POST", path, b"{}")
            if status not in _ABSENT:
                return name
        return None

    async def _ask(
        self, entry: BackendEntry, method: str, path: str, body: bytes
    ) -> tuple[int, bytes]:
        key = entry.secret.value if entry.secret else entry.backend.placeholder_key
        headers = [("content-type", "application/json"), ("accept-encoding", "identity")]
        if key:
            headers += [("authorization", f"Bearer {key}"), ("x-api-key", key)]
        request = UpstreamRequest(
            url=versioned_url(entry.url, path), headers=tuple(headers), body=body, method=method
        )
        response = await self._client.open(request, entry.name, _TIMEOUTS)
        try:
            return response.head.status, await response.read_error()
        finally:
            response.close()


def _dialect_of_list(answer: tuple[int, bytes]) -> str | None:
    """What a model list gives away: Anthropic's shape, or the owner of a known server."""
    status, body = answer
    if status != 200:  # noqa: PLR2004
        return None
    try:
        first: Any = msgspec.json.decode(body)["data"][0]
        if first.get("type") == "model":
            return "anthropic"
        return "openai" if first.get("owned_by") in _OWNERS_OF_CHAT else None
    except _NOT_A_LIST:
        return None


async def detect_quietly(probe: ProtocolProbe, entry: BackendEntry) -> None:
    """Detect ahead of the first request; a server that is down is asked again then."""
    try:
        await probe.dialect_of(entry)
    except UpstreamError:
        return
