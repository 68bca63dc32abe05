"""The model lists that clients see (translation spec, section 6). Pure.

Built from the configuration and from what was discovered earlier; no upstream is asked while a
client waits. Order and creation date never change between two calls, as cursors and the CLI's
cache depend on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from llmproxyd.errors import BadRequest, DownstreamError
from llmproxyd.routing.rules import LONG_CONTEXT_SUFFIX, alias_of, declared_models, unaliased
from llmproxyd.spi import BackendEntry, DiscoveredModel, Limits

# Anthropic allows an epoch date where the real one is unknown, and servers that answer with the
# time of the request (vLLM, llama.cpp) would make the list change with every call.
_CREATED_AT = "1970-01-01T00:00:00Z"
_WHOLE_NUMBER = re.compile("[0-9]{1,4}")
_LIMIT_DEFAULT = 20
_LIMIT_MAX = 1000


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the list.

    Attributes:
        id: what Anthropic clients see: the name, or its alias if the CLI would hide the name.
        name: what the upstream gets.
        display_name: what people read.
    """

    id: str
    name: str
    display_name: str
    limits: Limits = Limits()

    def answers_to(self, model_id: str) -> bool:
        """True for the id and for the name."""
        return model_id in {self.id, self.name}


class Page(msgspec.Struct, frozen=True):
    """A part of the list; `has_more` in the direction of the cursor."""

    models: tuple[ModelInfo, ...]
    has_more: bool


def list_models(
    entries: Mapping[str, BackendEntry],
    active: str,
    discovered: Mapping[str, Sequence[DiscoveredModel]],
) -> list[ModelInfo]:
    """The models of the active backend: configured ones first, then the discovered, each once.

    Args:
        entries: all compiled backends, by name.
        discovered: what backends have listed, by name of the backend.
    """
    entry = entries[active]
    known = {model.id: model for model in discovered.get(active, ())}
    return [
        _describe(entry, name, known.get(name))
        for name in dict.fromkeys((*declared_models(entry), *known))
    ]


def _describe(entry: BackendEntry, name: str, found: DiscoveredModel | None) -> ModelInfo:
    configured = entry.limits_of(name)
    offered = found.limits if found else Limits()
    return ModelInfo(
        id=alias_of(name),
        name=name,
        display_name=(found.display_name if found else "") or name,
        limits=Limits(
            context_window=configured.context_window or offered.context_window,
            max_output=configured.max_output or offered.max_output,
        ),
    )


def page(
    models: Sequence[ModelInfo],
    limit: str | None = None,
    after_id: str | None = None,
    before_id: str | None = None,
) -> Page:
    """The part of the list that a query asks for; its parameters come as they were sent.

    Raises:
        BadRequest: `limit` is not a number from 1 to 1000, or a cursor is unknown.
    """
    size = _limit(limit)
    start = 0 if not after_id else _position(models, "after_id", after_id) + 1
    end = len(models) if not before_id else _position(models, "before_id", before_id)
    window = tuple(models[start:end])
    part = window[-size:] if before_id and not after_id else window[:size]
    return Page(part, has_more=len(window) > size)


def _limit(limit: str | None) -> int:
    if limit is None:
        return _LIMIT_DEFAULT
    size = int(limit) if _WHOLE_NUMBER.fullmatch(limit) else 0
    if not 1 <= size <= _LIMIT_MAX:
        raise BadRequest(f"limit: Input should be a whole number from 1 to {_LIMIT_MAX}")
    return size


def _position(models: Sequence[ModelInfo], parameter: str, model_id: str) -> int:
    for index, model in enumerate(models):
        if model.answers_to(model_id):
            return index
    raise BadRequest(f"{parameter}: unknown model {model_id!r}")


def find_model(models: Sequence[ModelInfo], model_id: str) -> ModelInfo:
    """The model with this id or name, under the id that it was asked for.

    Raises:
        DownstreamError: 404, there is none.
    """
    wanted = model_id.removesuffix(LONG_CONTEXT_SUFFIX)
    for model in models:
        if model.answers_to(wanted) or model.name == unaliased(wanted):
            return msgspec.structs.replace(model, id=model_id)
    raise DownstreamError(f"model: {model_id}", status=404, kind="not_found_error")


def anthropic_list(page: Page) -> dict[str, Any]:
    """The list in Anthropic's shape."""
    return {
        "data": [anthropic_model(model) for model in page.models],
        "has_more": page.has_more,
        "first_id": page.models[0].id if page.models else None,
        "last_id": page.models[-1].id if page.models else None,
    }


def anthropic_model(model: ModelInfo) -> dict[str, Any]:
    """One model in Anthropic's shape; limits only where they are known."""
    limits = {
        "max_input_tokens": model.limits.context_window,
        "max_tokens": model.limits.max_output,
    }
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": _CREATED_AT,
    } | {key: value for key, value in limits.items() if value is not None}


def openai_list(models: Sequence[ModelInfo]) -> dict[str, Any]:
    """The whole list in OpenAI's shape, under the upstream's own names."""
    return {"object": "list", "data": [openai_model(model, model.name) for model in models]}


def openai_model(model: ModelInfo, model_id: str | None = None) -> dict[str, Any]:
    """One model in OpenAI's shape."""
    return {
        "id": model_id or model.id,
        "object": "model",
        "created": 0,
        "owned_by": "llmproxyd",
    }
