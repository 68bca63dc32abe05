"""Reload and `use`: build a whole new snapshot, then swap one reference; or keep the old one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from llmproxyd.config.parse import Parsed
from llmproxyd.errors import ConfigError
from llmproxyd.reload.changes import changes, restart_keys
from llmproxyd.reload.entries import World
from llmproxyd.reload.snapshot import Snapshot, compile_snapshot
from llmproxyd.reload.store import SnapshotStore

OnSwap = Callable[[Snapshot, Snapshot], None]


class Log(Protocol):
    """What is asked of a logger; structlog's bound loggers have it."""

    def info(self, event: str, **fields: Any) -> Any:
        """Record an event."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:
        """Record an event that somebody should look at."""
        ...


class ReloadOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A reload that has succeeded.

    Attributes:
        reason: who asked, e.g. `SIGHUP` or `use`.
        changed: what differs from before, one short phrase each; empty when nothing does.
        needs_restart: key paths whose new values wait for a restart.
        at_s: Unix time.
    """

    reason: str
    generation_before: int
    generation_after: int
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    at_s: float


class Reloader:
    """Replaces the snapshot in force, one replacement at a time.

    Attributes:
        on_swap: called with the old and the new snapshot right after each swap, on the event
            loop; for what lives longer than a snapshot and must follow it.
        last_outcome: the latest success; None before the first.
        last_error: why the latest reload was refused; None once one has succeeded.
        last_error_s: when that was, Unix time.

    Args:
        store: holds the snapshot that the daemon was started with.
        load: the configuration as it is written now; may block.
        clock: Unix time.
    """

    def __init__(
        self,
        store: SnapshotStore,
        load: Callable[[], Parsed],
        world: World,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self.on_swap: list[OnSwap] = []
        self.last_outcome: ReloadOutcome | None = None
        self.last_error: ConfigError | None = None
        self.last_error_s = 0.0
        self._store = store
        self._load = load
        self._world = world
        self._clock = clock
        self._log = log
        self._started = store.current.config
        self._lock = asyncio.Lock()

    async def reload(self, reason: str) -> ReloadOutcome:
        """Read everything again and put it in force.

        A backend chosen with `use` stays active until the configured one changes.

        Raises:
            ConfigError: every problem found; the old snapshot is still in force.
        """
        async with self._lock:
            try:
                snapshot = await asyncio.to_thread(self._reloaded)
            except ConfigError as error:
                self.last_error, self.last_error_s = error, self._clock()
                self._log.warning(
                    "config_rejected",
                    reason=reason,
                    generation=self._store.current.generation,
                    problems=[str(problem) for problem in error.problems],
                )
                raise
            self.last_error = None
            return self._swap(snapshot, reason)

    async def use(self, name: str) -> ReloadOutcome:
        """Make the backend `name` active, whatever the configuration says.

        The file is not read again, so a broken one is no obstacle; keys are.

        Raises:
            ConfigError: there is no such backend, or it can not be used; nothing has changed.
        """
        async with self._lock:
            old = self._store.current
            parsed = Parsed(old.config, old.places)
            snapshot = await asyncio.to_thread(self._compiled, parsed, name)
            return self._swap(snapshot, "use")

    def _reloaded(self) -> Snapshot:
        old = self._store.current
        parsed = self._load()
        is_same = parsed.config.backend == old.config.backend
        return self._compiled(parsed, old.override if is_same else None)

    def _compiled(self, parsed: Parsed, override: str | None) -> Snapshot:
        return compile_snapshot(
            parsed,
            self._world,
            generation=self._store.current.generation + 1,
            loaded_at_s=self._clock(),
            override=override,
        )

    def _swap(self, snapshot: Snapshot, reason: str) -> ReloadOutcome:
        old = self._store.replace(snapshot)
        outcome = ReloadOutcome(
            reason=reason,
            generation_before=old.generation,
            generation_after=snapshot.generation,
            changed=changes(old, snapshot),
            needs_restart=restart_keys(self._started, snapshot.config),
            at_s=snapshot.loaded_at_s,
        )
        self.last_outcome = outcome
        self._log.info("config_reloaded", **msgspec.structs.asdict(outcome))
        for follow in self.on_swap:
            follow(old, snapshot)
        return outcome
