"""Starting, ready, draining, stopped; and which requests are being served.

    starting ──set_ready──▶ ready ──request_stop──▶ draining ──set_stopped──▶ stopped
        └───────────────request_stop───────────────────▲

Requests are admitted until the drain begins. Asking to stop again can only bring the deadline
nearer: a second signal asks with no grace at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from llmproxyd.errors import Draining


class Phase(StrEnum):
    """Where the daemon is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(slots=True)
class InFlight:
    """A request being served.

    Attributes:
        started_s: on the lifecycle's clock.
    """

    request_id: str
    path: str
    started_s: float


class Lifecycle:
    """The one place that knows whether to take requests and when to end.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._phase = Phase.STARTING
        self._requests: dict[int, InFlight] = {}
        self._deadline_s = float("inf")
        self._stop_requested = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self._phase

    @property
    def in_flight(self) -> tuple[InFlight, ...]:
        """The requests being served now, oldest first."""
        return tuple(self._requests.values())

    def set_ready(self) -> None:
        """Everything is up; without effect once a stop was asked for."""
        if self._phase is Phase.STARTING:
            self._phase = Phase.READY

    def set_stopped(self) -> None:
        """Everything is down."""
        self._phase = Phase.STOPPED

    @contextmanager
    def admit(self, request_id: str, path: str) -> Iterator[InFlight]:
        """Count a request as in flight for the length of the block.

        Raises:
            Draining: the daemon is about to end.
        """
        if self._phase in {Phase.DRAINING, Phase.STOPPED}:
            raise Draining("llmproxyd is shutting down; try again in a moment", retry_after_s=1)
        request = InFlight(request_id, path, self._clock())
        # Keyed by identity: a client may send the same id twice.
        self._requests[id(request)] = request
        try:
            yield request
        finally:
            del self._requests[id(request)]
            if not self._requests:
                self._changed.set()

    def request_stop(self, grace_s: float) -> None:
        """Begin to drain; requests in flight have `grace_s` seconds, or less if asked before."""
        self._deadline_s = min(self._deadline_s, self._clock() + grace_s)
        if self._phase is not Phase.STOPPED:
            self._phase = Phase.DRAINING
        self._stop_requested.set()
        self._changed.set()

    async def stop_requested(self) -> None:
        """Wait until somebody asks the daemon to stop."""
        await self._stop_requested.wait()

    async def drain(self) -> bool:
        """Wait for the requests in flight, at most to the deadline. True: all of them ended."""
        while self._requests:
            left_s = self._deadline_s - self._clock()
            if left_s <= 0:
                return False
            self._changed.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return True
