"""What each backend did since the daemon started: plain numbers for status and health."""

from __future__ import annotations

from copy import copy

import msgspec

from llmproxyd.wire.usage import Usage


class BackendCounts(msgspec.Struct, kw_only=True):
    """The counts of one backend.

    Attributes:
        requests: attempts that ended, well or not.
        failures: attempts that failed; `failures_in_a_row` since the backend was last well.
        last_error: message of the latest failure, secrets already redacted.
        input_tokens: prompt tokens, those read from or written to a cache included.
    """

    requests: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    last_error: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0


class Counters:
    """Counts by backend name. Lives as long as the process; used from one thread."""

    def __init__(self) -> None:
        self._backends: dict[str, BackendCounts] = {}

    def succeeded(self, backend: str, usage: Usage | None = None) -> None:
        """One answer came to its end."""
        counts = self._of(backend)
        counts.requests += 1
        counts.failures_in_a_row = 0
        if usage is not None:
            cached = usage.cache_read_input_tokens
            counts.input_tokens += usage.input_tokens + cached + usage.cache_creation_input_tokens
            counts.cache_read_tokens += cached
            counts.output_tokens += usage.output_tokens

    def failed(self, backend: str, error: str) -> None:
        """One attempt failed; `error` holds no secrets."""
        counts = self._of(backend)
        counts.requests += 1
        counts.failures += 1
        counts.failures_in_a_row += 1
        counts.last_error = error

    def refused(self, backend: str) -> None:
        """One request was at fault itself: the backend is well, it said so."""
        counts = self._of(backend)
        counts.requests += 1
        counts.failures += 1
        counts.failures_in_a_row = 0

    def of(self, backend: str) -> BackendCounts:
        """The counts of one backend now; zeros if it was never used."""
        return copy(self._backends.get(backend) or BackendCounts())

    def snapshot(self) -> dict[str, BackendCounts]:
        """The counts now of every backend that was used, by name."""
        return {backend: copy(counts) for backend, counts in self._backends.items()}

    def _of(self, backend: str) -> BackendCounts:
        counts = self._backends.get(backend)
        if counts is None:
            counts = self._backends[backend] = BackendCounts()
        return counts
