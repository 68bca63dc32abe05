"""The message ids of recent answers: a backend that repeats one must not reach the client with it."""

from __future__ import annotations

# Far more turns than any conversation has; 200 bytes each.
MAX_IDS = 10_000


class RecentIds:
    """Remembers the newest ids. Lives as long as the process; used from one thread."""

    def __init__(self, max_ids: int = MAX_IDS) -> None:
        self._max_ids = max_ids
        self._ids: dict[str, None] = {}

    def claim(self, message_id: str) -> bool:
        """True the first time that `message_id` is seen."""
        if message_id in self._ids:
            return False
        self._ids[message_id] = None
        if len(self._ids) > self._max_ids:
            del self._ids[next(iter(self._ids))]
        return True
