"""The one reference to the snapshot in force."""

from __future__ import annotations

from llmproxyd.reload.snapshot import Snapshot


class SnapshotStore:
    """Holds the current snapshot. A request reads `current` once and keeps what it got."""

    def __init__(self, current: Snapshot) -> None:
        self._current = current

    @property
    def current(self) -> Snapshot:
        """The snapshot in force."""
        return self._current

    def replace(self, snapshot: Snapshot) -> Snapshot:
        """Put `snapshot` in force and give back the one before it."""
        previous, self._current = self._current, snapshot
        return previous
