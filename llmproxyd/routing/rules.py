"""Which model of a backend answers a request for a name. Pure.

Clients ask for names like `claude-opus-5-5[1m]`. Order of what decides:

1. `models` of the entry by exact name;
2. a name that the entry itself sends upstream, or an alias of any model (see below);
3. `models` by glob, in the order of the configuration;
4. `models` by slot: the family of a `claude-*` name (`opus`, `sonnet`, `haiku`, `fable`);
5. `model` of the entry;
6. the name as it is.

The CLI's model picker shows only ids that contain `claude` or `anthropic` (translation spec,
section 6), so every other model is offered there as `claude-local-NAME`.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from llmproxyd.spi import BackendEntry

ALIAS_PREFIX = "claude-local-"
LONG_CONTEXT_SUFFIX = "[1m]"
SLOTS = ("opus", "sonnet", "haiku", "fable")

_SHOWN_BY_PICKER = re.compile("claude|anthropic", re.IGNORECASE)
_IS_GLOB = re.compile(r"[*?\[]")
# `claude-opus-5-5`, `claude-3-5-haiku-20241022`, `anthropic/claude-sonnet-5`.
_SLOT = re.compile(rf"\bclaude\b.*?\b({'|'.join(SLOTS)})\b", re.IGNORECASE)


def resolve_model(entry: BackendEntry, requested: str) -> str:
    """The model name that `entry` gets for a request that asks for `requested`."""
    name = requested.removesuffix(LONG_CONTEXT_SUFFIX)
    if name in entry.models:
        return entry.models[name]
    if name in declared_models(entry):
        return name
    if name.startswith(ALIAS_PREFIX):
        return unaliased(name)
    return _by_glob(entry, name) or _by_slot(entry, name) or entry.model or name


def declared_models(entry: BackendEntry) -> tuple[str, ...]:
    """The upstream models that the configuration names, in its order, each once."""
    named = (*([entry.model] if entry.model else []), *entry.models.values())
    return tuple(dict.fromkeys(named))


def alias_of(model: str) -> str:
    """The id under which the CLI's model picker shows `model`."""
    return model if _SHOWN_BY_PICKER.search(model) else ALIAS_PREFIX + model


def unaliased(requested: str) -> str:
    """What an alias stands for; any other name as it is."""
    return requested.removeprefix(ALIAS_PREFIX)


def slot_of(name: str) -> str | None:
    """The family of a Claude model name."""
    match = _SLOT.search(name)
    return match[1].lower() if match else None


def _by_glob(entry: BackendEntry, name: str) -> str | None:
    for pattern, model in entry.models.items():
        if _IS_GLOB.search(pattern) and fnmatchcase(name.lower(), pattern.lower()):
            return model
    return None


def _by_slot(entry: BackendEntry, name: str) -> str | None:
    slot = slot_of(name)
    return entry.models.get(slot) if slot else None
