"""A whole configuration, compiled: what a request takes once and keeps to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from llmproxyd.config.parse import Parsed
from llmproxyd.config.places import KeyPath, Places, dotted, quoted
from llmproxyd.config.schema import BackendConfig, Config
from llmproxyd.config.suggest import did_you_mean
from llmproxyd.errors import ConfigError, Problem
from llmproxyd.reload.entries import Compiled, World, compile_entry
from llmproxyd.spi import BackendEntry


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Snapshot:
    """One generation of the configuration. Immutable; a reload builds a new one.

    Attributes:
        generation: counts the snapshots that were in force; 1 is the first.
        places: where each key of `config` was written.
        entries: every backend by name, the default one included even when it is not written.
        active: name of the backend that requests go to.
        fallback: names tried after it, in order, without it and without repetition.
        override: the name chosen at run time, if any; then it is `active`.
        unusable: names of entries that lack their key, and why. Never active, never a fallback.
        secrets: every key, for redaction.
        loaded_at_s: Unix time.
    """

    generation: int
    config: Config
    places: Places
    entries: dict[str, BackendEntry]
    active: str
    fallback: tuple[str, ...]
    override: str | None
    unusable: dict[str, str]
    secrets: tuple[str, ...] = field(repr=False)
    loaded_at_s: float


def compile_snapshot(
    parsed: Parsed,
    world: World,
    *,
    generation: int,
    loaded_at_s: float,
    override: str | None = None,
) -> Snapshot:
    """Compile all of it, or raise all that is wrong with it.

    Reads key files, so it blocks: use it in a thread.

    Args:
        override: name of the backend to make active whatever the configuration says.

    Raises:
        ConfigError: the problems of `parsed` and those found here, in the order of the file.
    """
    config, places = parsed.config, parsed.places
    compiled = {
        name: compile_entry(name, backend, world, places)
        for name, backend in _with_default(config, world, places).items()
    }
    configured = config.backend or (world.default.kind if world.default else "")
    active = override or configured
    fallback = tuple(name for name in dict.fromkeys(config.fallback) if name != active)
    problems = [
        *parsed.problems,
        *(problem for one in compiled.values() for problem in one.problems),
        *_unknown_names(config, configured, compiled, world, places),
        *_unknown_override(override, compiled),
        *_missing_keys(
            tuple(filter(None, (active, *fallback, config.server_tools))), compiled, places
        ),
    ]
    if problems:
        raise ConfigError(sorted(problems, key=lambda one: (one.file, one.line, one.column)))
    entries = {name: one.entry for name, one in compiled.items() if one.entry is not None}
    keys = [entry.secret.value for entry in entries.values() if entry.secret is not None]
    return Snapshot(
        generation=generation,
        config=config,
        places=places,
        entries=entries,
        active=active,
        fallback=fallback,
        override=override,
        unusable={name: one.missing.reason for name, one in compiled.items() if one.missing},
        secrets=tuple(dict.fromkeys(keys)),
        loaded_at_s=loaded_at_s,
    )


def _with_default(config: Config, world: World, places: Places) -> dict[str, BackendConfig]:
    """The written backends and, under the name of its kind, the default one."""
    default = world.default
    if default is None or places.is_written(("backends", default.kind)):
        return config.backends
    return {default.kind: BackendConfig(type=default.kind), **config.backends}


def _unknown_names(
    config: Config,
    configured: str,
    compiled: Mapping[str, Compiled],
    world: World,
    places: Places,
) -> Iterator[Problem]:
    """Names in the configuration that no backend has; one that is written badly has its own."""
    named: list[tuple[KeyPath, str]] = [(("backend",), configured)]
    named += [(("fallback", number), name) for number, name in enumerate(config.fallback)]
    named += [(("server_tools",), config.server_tools)] if config.server_tools else []
    for path, name in named:
        if name in compiled or places.is_written(("backends", name)):
            continue
        is_kind = name in world.kinds
        add = f'add [{dotted(("backends", name))}] with type = "{name}"'
        hint = add if is_kind else did_you_mean(name, compiled)
        yield places.problem(path, f"there is no backend {quoted(name)}", hint)


def _unknown_override(override: str | None, compiled: Mapping[str, Compiled]) -> Iterator[Problem]:
    if override is not None and override not in compiled:
        hint = did_you_mean(override, compiled)
        yield Problem("", f"there is no backend {quoted(override)} to use", hint)


def _missing_keys(
    used: tuple[str, ...], compiled: Mapping[str, Compiled], places: Places
) -> Iterator[Problem]:
    """Keys that are needed now; other backends may wait for theirs."""
    for name in used:
        missing = compiled[name].missing if name in compiled else None
        if missing is not None:
            yield places.problem(("backends", name, "api_key"), missing.reason, missing.hint)
