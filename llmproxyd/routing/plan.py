"""The ordered targets of one request. Pure: configuration and a name in, a tuple out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmproxyd.routing.rules import resolve_model, unaliased
from llmproxyd.spi import BackendEntry, Target


def make_plan(
    entries: Mapping[str, BackendEntry], active: str, fallback: Sequence[str], requested: str
) -> tuple[Target, ...]:
    """The active backend, then the fallbacks in their order, each once.

    An alias `claude-local-NAME` names a model of the active backend; the fallbacks are asked for
    NAME like for any other, so that their own `models` and `model` decide.

    Args:
        entries: all compiled backends, by name; `active` and `fallback` are among them.
        requested: the model name of the client.
    """
    other = unaliased(requested)
    return tuple(
        target_of(entries[name], requested if name == active else other)
        for name in dict.fromkeys((active, *fallback))
    )


def target_of(entry: BackendEntry, requested: str) -> Target:
    """`entry` with the model that it gets for `requested`, and what is known of that model."""
    model = resolve_model(entry, requested)
    return Target(
        entry=entry, model=model, quirks=entry.quirks_of(model), limits=entry.limits_of(model)
    )
