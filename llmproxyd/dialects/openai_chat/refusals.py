"""Request properties that a target has refused before (translation spec, section 1.12).

A refusal that has a flag for it changes the flag, so that translation finds the next best way
(stop sequences are then matched here, a schema goes into the system prompt). The others are taken
out of the finished request. What a request can not do without is never taken out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmproxyd.spi import Quirks

_ESSENTIAL = frozenset(
    {"model", "messages", "tools", "max_tokens", "max_completion_tokens", "stream"}
)

# First and last name of the refused path to the flags that do without it.
_FLAGS: dict[tuple[str, str], dict[str, Any]] = {
    ("messages", "reasoning"): {"reasoning_in": "drop"},
    ("messages", "reasoning_content"): {"reasoning_in": "drop"},
    ("tools", "strict"): {"strict_tools": None},
    ("stop", "stop"): {"stop_mode": "proxy"},
    ("response_format", "response_format"): {"response_format": "none"},
    ("tool_choice", "tool_choice"): {"tool_choice": "absent"},
}


def adapted(quirks: Quirks, dropped: Iterable[str]) -> Quirks:
    """`quirks` with what the refused paths tell."""
    for path in dropped:
        steps = path.split(".")
        first = steps[0].partition("[")[0]  # `messages[3].reasoning` is any message's
        quirks = quirks.updated(_FLAGS.get((first, steps[-1]), {}))
    return quirks


def leave_out(request: dict[str, Any], dropped: Iterable[str]) -> None:
    """Take the refused paths out of a finished request, in place."""
    for path in dropped:
        *parents, name = path.split(".")
        place: Any = request
        for step in parents:
            place = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, dict) and (parents or [name])[0] not in _ESSENTIAL:
            place.pop(name, None)
