"""What a reload changed, in words for a person. Values that may hold a key are never among them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from llmproxyd.config.places import KeyPath, dotted
from llmproxyd.config.schema import BackendConfig, Config, SecretRef
from llmproxyd.reload.snapshot import Snapshot

# What a running daemon can not change: it listens there already, or has set up its log.
NEEDS_RESTART = ("server.host", "server.port", "log.level", "log.format")


def changes(old: Snapshot, new: Snapshot) -> tuple[str, ...]:
    """The differences between two snapshots, e.g. `backend: cerebras -> anthropic`."""
    return tuple(_changes(old, new))


def restart_keys(started: Config, now: Config) -> tuple[str, ...]:
    """The keys whose values wait for a restart of a daemon that was started with `started`."""
    before, after = _leaves(started), _leaves(now)
    return tuple(
        name
        for path in after
        if (name := dotted(path)) in NEEDS_RESTART and before[path] != after[path]
    )


def _changes(old: Snapshot, new: Snapshot) -> Iterator[str]:
    if old.active != new.active:
        yield f"backend: {old.active} -> {new.active}"
    if old.config.fallback != new.config.fallback:
        yield f"fallback: {_listed(old.config.fallback)} -> {_listed(new.config.fallback)}"
    yield from _changed_settings(old.config, new.config)
    yield from _changed_backends(old, new)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _changed_settings(old: Config, new: Config) -> Iterator[str]:
    before, after = _leaves(old), _leaves(new)
    for path, value in after.items():
        if path[0] not in ("backend", "fallback", "backends") and before[path] != value:
            yield f"{dotted(path)}: {before[path]} -> {value}"


def _changed_backends(old: Snapshot, new: Snapshot) -> Iterator[str]:
    for name in {**old.entries, **new.entries}:
        shown = dotted(("backends", name))
        if name not in old.entries:
            yield f"{shown} added"
        elif name not in new.entries:
            yield f"{shown} removed"
        else:
            yield from _changed_backend(name, old, new)


def _changed_backend(name: str, old: Snapshot, new: Snapshot) -> Iterator[str]:
    path: KeyPath = ("backends", name)
    before, after = _leaves(_written(name, old)), _leaves(_written(name, new))
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    if old.entries[name].secret != new.entries[name].secret and ("api_key",) not in changed:
        changed.append(("api_key",))  # the same reference, another key behind it
    for key in changed:
        yield f"{dotted((*path, *key))} changed"


def _written(name: str, snapshot: Snapshot) -> BackendConfig:
    """The backend as it is written; the default one need not be."""
    kind = snapshot.entries[name].backend.kind
    return snapshot.config.backends.get(name, BackendConfig(type=kind))


def _leaves(value: object, path: KeyPath = ()) -> dict[KeyPath, object]:
    """Every value under its key path, with keys as they are written in the file."""
    if isinstance(value, msgspec.Struct) and not isinstance(value, SecretRef):
        inner = {
            field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)
        }
    elif isinstance(value, dict):
        inner = value
    else:
        return {path: value}
    return {
        key: leaf
        for name, part in inner.items()
        for key, leaf in _leaves(part, (*path, name)).items()
    }
