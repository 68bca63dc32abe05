"""Token counts collected from the events of one answer."""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxyd.wire.usage import Usage

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


class Tally:
    """The last value of each count; they are cumulative, so later ones replace earlier ones.

    Attributes:
        usage: what is known so far; None when nothing is.
    """

    __slots__ = ("_counts", "usage")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self.usage: Usage | None = None

    def add(self, usage: Any) -> None:
        """Take the counts of one `usage` object; anything else is ignored."""
        if not isinstance(usage, dict):
            return
        found = {name: usage.get(name) for name in _COUNTS}
        details = usage.get("output_tokens_details")
        if isinstance(details, dict):
            found["thinking_tokens"] = details.get("thinking_tokens")
        for name, value in found.items():
            if isinstance(value, int) and value >= 0:
                self._counts[name] = int(value)
        if self._counts:
            self.usage = msgspec.convert(self._counts, Usage)

    @property
    def is_empty(self) -> bool:
        """No count above zero was seen."""
        return not any(self._counts.values())
