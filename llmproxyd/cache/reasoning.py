"""Thinking text kept for clients that replay only its signature (translation spec, section 1.9)."""

from __future__ import annotations

import sys
from collections import OrderedDict

MAX_ENTRIES = 2_000
MAX_BYTES = 64 * 1024 * 1024


class ReasoningCache:
    """A `ReasoningStore` in memory: the entries used longest ago give way.

    Used from one thread. Sizes are those of the strings in memory, keys included.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._size_bytes = 0
        # With its size: a string's own may grow later, when something encodes it.
        self._texts: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def __len__(self) -> int:
        """How many texts are kept."""
        return len(self._texts)

    @property
    def size_bytes(self) -> int:
        """Memory that the kept texts take."""
        return self._size_bytes

    def get(self, key: str) -> str | None:
        """The text stored under a signature or tool id."""
        kept = self._texts.get(key)
        if kept is None:
            return None
        self._texts.move_to_end(key)
        return kept[0]

    def put(self, key: str, text: str) -> None:
        """Keep `text`; one that is larger than the whole store is not kept."""
        self._drop(key)
        size_bytes = sys.getsizeof(key) + sys.getsizeof(text)
        if size_bytes > self._max_bytes:
            return
        self._texts[key] = text, size_bytes
        self._size_bytes += size_bytes
        while len(self._texts) > self._max_entries or self._size_bytes > self._max_bytes:
            self._drop(next(iter(self._texts)))

    def _drop(self, key: str) -> None:
        _, size_bytes = self._texts.pop(key, ("", 0))
        self._size_bytes -= size_bytes
