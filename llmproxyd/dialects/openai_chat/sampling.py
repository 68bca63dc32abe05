"""Sampling, stop sequences and the output budget (translation spec, sections 1.1 and 1.8)."""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxyd.dialects.openai_chat.scope import Scope, is_blank
from llmproxyd.spi import Limits, Quirks

# Room for what the estimate does not see: the chat template's own tokens.
WINDOW_MARGIN = 256
# A smaller budget would come back as `max_tokens`, and the client would ask to go on for ever,
# whereas the backend's own complaint about the window starts its compaction.
LEAST_OUTPUT = 1024


def output_budget(requested: int, limits: Limits, prompt_tokens: int) -> int:
    """The tokens to ask for: as requested, but within the model's limits."""
    budget = requested if limits.max_output is None else min(requested, limits.max_output)
    if limits.context_window is None:
        return budget
    room = limits.context_window - prompt_tokens - WINDOW_MARGIN
    return min(budget, max(room, LEAST_OUTPUT))


def sampling_fields(body: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """`temperature`, `top_p` and `top_k` as far as the backend takes them."""
    quirks = scope.quirks
    given = {name: body[name] for name in ("temperature", "top_p", "top_k") if _is_set(body, name)}
    if "temperature" in given:
        given["temperature"] = min(given["temperature"], quirks.temperature_max)
    elif quirks.default_temperature is not None:
        given["temperature"] = quirks.default_temperature
    allowed: tuple[str, ...] = () if quirks.no_sampling else ("temperature", "top_p")
    if quirks.top_k and not quirks.no_sampling:
        allowed += ("top_k",)
    for name in given:
        if name not in allowed:
            scope.note("dropped", name)
    return {name: value for name, value in given.items() if name in allowed}


def _is_set(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Stops(msgspec.Struct, frozen=True):
    """Stop sequences, and who watches for them.

    Attributes:
        every: all of them, cleaned.
        upstream: those that the backend is given.
        proxy: those that we match in the answer ourselves.
    """

    every: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    proxy: tuple[str, ...] = ()


def read_stops(given: Any, quirks: Quirks) -> Stops:
    """The stop sequences of a request; blank ones and repetitions are left out."""
    listed = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    texts = (stop for stop in listed if isinstance(stop, str) and not is_blank(stop))
    every = tuple(dict.fromkeys(texts))
    sent = quirks.stop_max if quirks.stop_mode == "upstream" else 0
    return Stops(every, every[:sent], every[sent:])
