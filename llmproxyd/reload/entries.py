"""One `[backends.NAME]` and its provider to a `BackendEntry`: all that an attempt needs, decided."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from llmproxyd.config.places import KeyPath, Places
from llmproxyd.config.schema import BackendConfig, ModelLimits
from llmproxyd.config.suggest import did_you_mean
from llmproxyd.errors import Problem
from llmproxyd.reload.quirks import read_quirks
from llmproxyd.spi import Backend, BackendEntry, Dialect, Limits, Secret, Timeouts
from llmproxyd.upstream.credentials import KeyReader, Missing, from_variable, resolve_secret


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What entries are compiled with, besides the configuration.

    Attributes:
        kinds: every known provider by its kind.
        env: the environment of the daemon, for keys.
        read_key: the text of a key file.
    """

    kinds: Mapping[str, Backend]
    env: Mapping[str, str]
    read_key: KeyReader

    @property
    def default(self) -> Backend | None:
        """The provider of a daemon without configuration."""
        return next((kind for kind in self.kinds.values() if kind.is_default), None)


class Compiled(NamedTuple):
    """The outcome for one backend.

    Attributes:
        entry: None when there are problems.
        missing: why the entry can not be used although it is well written: its key.
    """

    entry: BackendEntry | None
    problems: list[Problem]
    missing: Missing | None = None


def compile_entry(name: str, written: BackendConfig, world: World, places: Places) -> Compiled:
    """Everything about one backend, or everything that is wrong with it."""
    path: KeyPath = ("backends", name)
    backend = world.kinds.get(written.type)
    if backend is None:
        hint = did_you_mean(written.type, world.kinds)
        return Compiled(None, [places.problem((*path, "type"), "unknown backend type", hint)])
    url = (written.url or backend.base_url or "").rstrip("/")
    flags, problems = read_quirks(written.quirks, (*path, "quirks"), places)
    if not url:
        message = f"a backend of type {backend.kind} needs a url"
        hint = 'add url = "http://HOST:PORT"'
        problems.append(places.problem((*path, "url"), message, hint))
    dialects = _dialects(backend, written.protocol)
    if not dialects:
        known = " and ".join(dialect.name for dialect in backend.dialects)
        message = f"a backend of type {backend.kind} does not speak {written.protocol}"
        problems.append(places.problem((*path, "protocol"), message, f"it speaks {known}"))
    secret = _secret(written, backend, world)
    missing = secret if isinstance(secret, Missing) else None
    if problems:
        return Compiled(None, problems, missing)
    limits = _limits(written, backend.limits)
    entry = BackendEntry(
        name=name,
        backend=backend,
        url=url,
        dialect=dialects[0] if len(dialects) == 1 else None,
        secret=secret if isinstance(secret, Secret) else None,
        model=written.model,
        models=written.models,
        quirks=backend.quirks.updated({"repair": not _is_genuine(url, world), **flags}),
        model_quirks=(*backend.model_quirks, *_written_quirks(flags, written.limits)),
        limits=limits,
        model_limits={model: _limits(own, limits) for model, own in written.limits.items()},
        timeouts=_timeouts(written, backend.timeouts),
        retries=written.retries,
    )
    return Compiled(entry, [], missing)


def _dialects(backend: Backend, protocol: str) -> tuple[Dialect, ...]:
    """The dialects that the entry may turn out to speak."""
    if protocol == "auto":
        return backend.dialects
    return tuple(dialect for dialect in backend.dialects if dialect.name == protocol)


def _secret(written: BackendConfig, backend: Backend, world: World) -> Secret | Missing | None:
    """The key; None where the backend does without one."""
    if written.api_key is not None:
        return resolve_secret(written.api_key, world.env, world.read_key)
    found: Secret | Missing = Missing("it needs a key", 'write api_key = { env = "NAME" }')
    if backend.key_env is not None:
        found = from_variable(backend.key_env, world.env)
    return found if isinstance(found, Secret) or backend.needs_key else None


def _is_genuine(url: str, world: World) -> bool:
    """The default provider's own host: the one whose events need no repair, whatever the preset
    says (translation spec, section 8)."""
    own = world.default.base_url if world.default else None
    return own is not None and urlsplit(url).hostname == urlsplit(own).hostname


def _written_quirks(
    flags: dict[str, Any], limits: Mapping[str, ModelLimits]
) -> list[tuple[str, dict[str, Any]]]:
    """What a person wrote, as the last word: it corrects the provider's presets per model too."""
    found: list[tuple[str, dict[str, Any]]] = [("*", flags)] if flags else []
    for model, own in limits.items():
        claims = {"vision": own.vision, "reasoning": own.reasoning}
        known = {flag: claim for flag, claim in claims.items() if claim is not None}
        if known:
            found.append((glob.escape(model), known))  # the name is exact, not a glob
    return found


def _limits(written: BackendConfig | ModelLimits, otherwise: Limits) -> Limits:
    return Limits(
        context_window=written.context_window or otherwise.context_window,
        max_output=written.max_output or otherwise.max_output,
    )


def _timeouts(written: BackendConfig, preset: Timeouts) -> Timeouts:
    given = msgspec.structs.asdict(written.timeouts)
    return msgspec.structs.replace(
        preset, **{name: value for name, value in given.items() if value is not None}
    )
