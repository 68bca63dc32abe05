"""Whether a failed attempt is made again on the same target, and after how long."""

from __future__ import annotations

import random
from typing import Final

from llmproxyd.errors import Rejected, Unreachable, UpstreamError

# The longest pause before a retry of our own; beyond it the client waits better (section 4.2).
_RETRY_WAIT_MAX_S: Final = 5.0
_RETRIED_STATUSES: Final = frozenset({429, 502, 503, 529})


def retry_pause_s(error: UpstreamError) -> float | None:
    """Seconds to wait before the same target is tried again; None when it must not be.

    Only what certainly did not begin an answer is retried. A backend whose own words go to the
    client is not: that client has its own retries, tuned to this very backend.
    """
    if isinstance(error, Unreachable):
        return random.uniform(0.1, 0.3)  # noqa: S311 - jitter
    if not isinstance(error, Rejected) or error.verbatim is not None:
        return None
    if error.status not in _RETRIED_STATUSES:
        return None
    wait_s = error.retry_after_s
    if wait_s is None:
        return random.uniform(0.3, 0.8)  # noqa: S311 - jitter
    return wait_s if wait_s <= _RETRY_WAIT_MAX_S else None
