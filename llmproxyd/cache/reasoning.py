"""Thinking text kept for clients that replay only its signature (translation spec, section 1.9)."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock

MAX_ENTRIES = 2_000
MAX_BYTES = 64 * 1024 * 1024

# Told of every text that is kept, and with None of every key that gave way.
Journal = Callable[[str, str | None], None]


def _forget(key: str, text: str | None) -> None:
    """The journal of a store that does not outlive its process."""


class ReasoningCache:
    """A `ReasoningStore` in memory: the entries used longest ago give way.

    Used from any thread: long requests are translated beside the event loop. Sizes are those of
    the strings in memory, keys included.
    """

    def __init__(
        self,
        journal: Journal = _forget,
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._journal = journal
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._size_bytes = 0
        # With its size: a string's own may grow later, when something encodes it.
        self._texts: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """How many texts are kept."""
        return len(self._texts)

    @property
    def size_bytes(self) -> int:
        """Memory that the kept texts take."""
        return self._size_bytes

    def get(self, key: str) -> str | None:
        """The text stored under a signature or tool id."""
        with self._lock:
            kept = self._texts.get(key)
            if kept is None:
                return None
            self._texts.move_to_end(key)
            return kept[0]

    def put(self, key: str, text: str) -> None:
        """Keep `text`; one that is larger than the whole store is not kept."""
        with self._lock:
            self._journal(key, text)
            self._keep(key, text)

    def restore(self, texts: Iterable[tuple[str, str]]) -> None:
        """Keep what a journal has recorded, in its order."""
        with self._lock:
            for key, text in texts:
                self._keep(key, text)

    def _keep(self, key: str, text: str) -> None:
        self._drop(key)
        size_bytes = sys.getsizeof(key) + sys.getsizeof(text)
        if size_bytes > self._max_bytes:
            self._journal(key, None)
            return
        self._texts[key] = text, size_bytes
        self._size_bytes += size_bytes
        while len(self._texts) > self._max_entries or self._size_bytes > self._max_bytes:
            oldest = next(iter(self._texts))
            self._drop(oldest)
            self._journal(oldest, None)

    def _drop(self, key: str) -> None:
        _, size_bytes = self._texts.pop(key, ("", 0))
        self._size_bytes -= size_bytes
