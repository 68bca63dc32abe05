"""How things stand, and the wishes of the control socket: the daemon as others see it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from llmproxyd import __version__
from llmproxyd.control.schema import BackendStatus, LastReload, ReloadReply, Status, base_url
from llmproxyd.errors import ConfigError
from llmproxyd.ledger.counters import Counters
from llmproxyd.reload.snapshot import Snapshot
from llmproxyd.reload.store import SnapshotStore
from llmproxyd.reload.watch import Reloader, ReloadOutcome
from llmproxyd.service.lifecycle import Lifecycle
from llmproxyd.spi import BackendEntry
from llmproxyd.upstream.probe import ProtocolProbe


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where the standing is read from."""

    store: SnapshotStore
    reloader: Reloader
    lifecycle: Lifecycle
    probe: ProtocolProbe
    counters: Counters
    clock: Callable[[], float]
    listener: socket.socket
    socket_path: Path
    config_path: Path


class Standing:
    """Answers `status` and `/health` from what is known; carries out `reload`, `use`, `stop`."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self._started_s = sources.clock()
        self._host, self._port = sources.listener.getsockname()[:2]

    def status(self) -> Status:
        """Everything, for the control socket."""
        sources, snapshot = self._from, self._from.store.current
        is_written = sources.config_path.exists()
        return Status(
            state=sources.lifecycle.phase.value,
            pid=os.getpid(),
            uptime_s=round(sources.clock() - self._started_s, 3),
            generation=snapshot.generation,
            host=self._host,
            port=self._port,
            base_url=base_url(self._host, self._port),
            socket=str(sources.socket_path),
            config_path=str(sources.config_path) if is_written else "",
            active=snapshot.active,
            fallback=snapshot.fallback,
            in_flight=len(sources.lifecycle.in_flight),
            drain_timeout_s=snapshot.config.server.drain_timeout_s,
            last_reload=self._last_reload(),
            backends=tuple(self._backend(entry, snapshot) for entry in snapshot.entries.values()),
        )

    def health(self) -> dict[str, Any]:
        """The body of `GET /health`: less than `status`, nothing about this machine."""
        snapshot = self._from.store.current
        is_draining = self._from.lifecycle.phase.value == "draining"
        return {
            "status": "draining" if is_draining else "ok",
            "version": __version__,
            "uptime_s": round(self._from.clock() - self._started_s, 3),
            "backend": snapshot.active,
            "backends": {
                entry.name: self._health_of(entry, snapshot) for entry in snapshot.entries.values()
            },
        }

    async def reload(self) -> ReloadReply:
        """Read the configuration again."""
        return await self._attempt(lambda: self._from.reloader.reload("control"))

    async def reload_whenever(self, wanted: asyncio.Event) -> None:
        """Reload each time `wanted` is set (SIGHUP); the outcome is in the log and in `status`."""
        while True:
            await wanted.wait()
            wanted.clear()
            await self._attempt(lambda: self._from.reloader.reload("SIGHUP"))

    async def use(self, backend: str) -> ReloadReply:
        """Make `backend` active."""
        return await self._attempt(lambda: self._from.reloader.use(backend))

    def stop(self, grace_s: float | None) -> None:
        """Begin to drain; None means the configured time."""
        configured_s = self._from.store.current.config.server.drain_timeout_s
        self._from.lifecycle.request_stop(configured_s if grace_s is None else grace_s)

    async def _attempt(self, change: Callable[[], Awaitable[ReloadOutcome]]) -> ReloadReply:
        try:
            outcome = await change()
        except ConfigError as error:
            generation = self._from.store.current.generation
            return ReloadReply(ok=False, generation=generation, problems=tuple(error.problems))
        return ReloadReply(
            generation=outcome.generation_after,
            changed=outcome.changed,
            needs_restart=outcome.needs_restart,
        )

    def _last_reload(self) -> LastReload | None:
        reloader = self._from.reloader
        if reloader.last_error is not None:
            problems = tuple(reloader.last_error.problems)
            return LastReload(ok=False, when_s=reloader.last_error_s, problems=problems)
        outcome = reloader.last_outcome
        return None if outcome is None else LastReload(ok=True, when_s=outcome.at_s)

    def _backend(self, entry: BackendEntry, snapshot: Snapshot) -> BackendStatus:
        counts = self._from.counters.of(entry.name)
        dialect = self._from.probe.known(entry)
        state, reason = self._state(entry, snapshot)
        return BackendStatus(
            name=entry.name,
            kind=entry.backend.kind,
            url=entry.url,
            protocol=dialect.name if dialect else "",
            model=entry.model or "",
            state=state,
            reason=reason,
            requests=counts.requests,
            failures=counts.failures,
        )

    def _health_of(self, entry: BackendEntry, snapshot: Snapshot) -> dict[str, Any]:
        state, reason = self._state(entry, snapshot)
        return {"type": entry.backend.kind, "state": state} | ({"reason": reason} if reason else {})

    def _state(self, entry: BackendEntry, snapshot: Snapshot) -> tuple[str, str]:
        """One word, and why. Known from the requests so far; nothing is asked for it."""
        if entry.name in snapshot.unusable:
            return "unusable", snapshot.unusable[entry.name]
        counts = self._from.counters.of(entry.name)
        if counts.failures_in_a_row:
            return "failing", counts.last_error or ""
        return ("up" if counts.requests else "unknown"), ""
