"""Which models the backends offer: asked for ahead of time, answered from memory.

Only a backend that takes the client's own credential can not be asked ahead; its list is fetched
with that credential when a client wants it, within the client's patience.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from llmproxyd.errors import UpstreamError
from llmproxyd.spi import (
    BackendEntry,
    DiscoveredModel,
    Limits,
    Timeouts,
    UpstreamRequest,
    versioned_url,
)
from llmproxyd.upstream.client import UpstreamClient
from llmproxyd.wire.messages import Headers

# The CLI waits 3 s for its model list (client behaviour, section 1).
_PATIENCE_S: Final = 2.5
_TIMEOUTS: Final = Timeouts(connect_s=2.0, first_byte_s=_PATIENCE_S, idle_s=_PATIENCE_S)
_LIST_PATH: Final = "models?limit=1000"
_CREDENTIALS: Final = frozenset({"x-api-key", "authorization", "anthropic-version"})
# Where servers say how long a conversation may be: Anthropic, vLLM, OpenRouter.
_WINDOW_FIELDS: Final = ("max_input_tokens", "max_model_len", "context_length")


class ModelDiscovery:
    """Keeps the latest model list of every backend, by name."""

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client
        self._known: dict[str, tuple[DiscoveredModel, ...]] = {}

    @property
    def known(self) -> Mapping[str, tuple[DiscoveredModel, ...]]:
        """What has been listed so far."""
        return self._known

    async def refresh(self, entries: Iterable[BackendEntry]) -> None:
        """Ask every backend that can be asked with what we have; failures keep the old list."""
        askable = [entry for entry in entries if not needs_client(entry)]
        await asyncio.gather(*[self.ask(entry, _own_headers(entry)) for entry in askable])

    async def ask(self, entry: BackendEntry, headers: Headers) -> None:
        """Ask one backend with these headers; a failure keeps the old list."""
        request = UpstreamRequest(
            url=versioned_url(entry.url, _LIST_PATH),
            headers=(*headers, ("accept-encoding", "identity")),
            body=b"",
            method="GET",
        )
        try:
            async with asyncio.timeout(_PATIENCE_S):
                response = await self._client.open(request, entry.name, _TIMEOUTS)
                try:
                    status, body = response.head.status, await response.read_error()
                finally:
                    response.close()
        except (UpstreamError, TimeoutError):
            return
        models = _parse(body) if status == 200 else ()  # noqa: PLR2004
        if models:
            self._known[entry.name] = models


def needs_client(entry: BackendEntry) -> bool:
    """Only a client's own credential opens this backend."""
    return entry.secret is None and entry.backend.takes_client_key


def client_credentials(headers: Headers) -> Headers:
    """The headers of a client's request that open its provider's model list."""
    return tuple((name, value) for name, value in headers if name.lower() in _CREDENTIALS)


def _own_headers(entry: BackendEntry) -> Headers:
    key = entry.secret.value if entry.secret else entry.backend.placeholder_key
    version = ("anthropic-version", "2023-06-01")
    if not key:
        return (version,)
    return (("authorization", f"Bearer {key}"), ("x-api-key", key), version)


def _parse(body: bytes) -> tuple[DiscoveredModel, ...]:
    try:
        listed = msgspec.json.decode(body)["data"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
        return ()
    if not isinstance(listed, list):
        return ()
    return tuple(_model(item) for item in listed if isinstance(item, dict) and item.get("id"))


def _model(item: dict[str, Any]) -> DiscoveredModel:
    window = next((item[name] for name in _WINDOW_FIELDS if type(item.get(name)) is int), None)
    most = item.get("max_tokens")
    return DiscoveredModel(
        id=str(item["id"]),
        display_name=str(item.get("display_name") or ""),
        limits=Limits(context_window=window, max_output=most if type(most) is int else None),
    )
