"""`GET /v1/models` and `/v1/models/{id}`, in the shape that the caller understands."""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec

from llmproxyd.reload.snapshot import Snapshot
from llmproxyd.routing import catalog
from llmproxyd.upstream.discovery import ModelDiscovery, client_credentials, needs_client
from llmproxyd.wire.messages import Headers

_ANTHROPIC_MARKS = frozenset({"anthropic-version", "x-api-key"})


class ModelLists:
    """Answers from the configuration and from what backends have listed."""

    def __init__(self, discovery: ModelDiscovery) -> None:
        self._discovery = discovery

    async def page(self, snapshot: Snapshot, headers: Headers, query: str) -> bytes:
        """The list as JSON. Raises BadRequest for a bad cursor or limit."""
        models = await self._models(snapshot, headers)
        if not _is_anthropic(headers):
            return msgspec.json.encode(catalog.openai_list(models))
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        page = catalog.page(
            models, asked.get("limit"), asked.get("after_id"), asked.get("before_id")
        )
        return msgspec.json.encode(catalog.anthropic_list(page))

    async def find(self, snapshot: Snapshot, headers: Headers, model_id: str) -> bytes:
        """One model as JSON. Raises DownstreamError (404) when there is none."""
        model = catalog.find_model(await self._models(snapshot, headers), model_id)
        shape = catalog.anthropic_model if _is_anthropic(headers) else catalog.openai_model
        return msgspec.json.encode(shape(model))

    async def _models(self, snapshot: Snapshot, headers: Headers) -> list[catalog.ModelInfo]:
        active = snapshot.entries[snapshot.active]
        if needs_client(active):
            await self._discovery.ask(active, client_credentials(headers))
        return catalog.list_models(snapshot.entries, snapshot.active, self._discovery.known)


def _is_anthropic(headers: Headers) -> bool:
    return any(name.lower() in _ANTHROPIC_MARKS for name, _ in headers)
