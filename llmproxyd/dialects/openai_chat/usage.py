"""Token counts: upstream's `usage` to Anthropic's, and an estimate where there is none.

Source: translation spec, section 2.6. The client's context meter lives on these numbers: a
constant 0 would switch its auto-compaction off, so a missing count is always estimated.
"""

from __future__ import annotations

import math
from typing import Any

from llmproxyd.wire.tokens import estimate_output_tokens
from llmproxyd.wire.usage import Usage

# Pieces are counted in batches of about this many characters, so a long answer needs no more
# memory than this, and rounding up per piece does not add up.
_BATCH_CHARS = 1 << 16
_ROUGH_CHARS = 4  # characters a token


class OutputCounter:
    """Counts the text of an answer as it passes, should the backend not count it."""

    __slots__ = ("_chars", "_inputs", "_texts", "_tokens")

    def __init__(self) -> None:
        self._tokens = 0
        self._chars = 0
        self._texts: list[str] = []
        self._inputs: list[str] = []

    def text(self, text: str) -> None:
        """Count a piece of text, thinking included, shown or not."""
        self._texts.append(text)
        self._chars += len(text)
        if self._chars > _BATCH_CHARS:
            self._count()

    def tool_input(self, partial_json: str) -> None:
        """Count a piece of tool arguments."""
        self._inputs.append(partial_json)
        self._chars += len(partial_json)
        if self._chars > _BATCH_CHARS:
            self._count()

    @property
    def tokens(self) -> int:
        """Tokens so far."""
        self._count()
        return self._tokens

    @property
    def rough_tokens(self) -> int:
        """The same within a few per cent, at no cost, while the answer is running."""
        return self._tokens + self._chars // _ROUGH_CHARS

    def _count(self) -> None:
        # Joined first: a rate per character needs whole words, not the fractions of each piece.
        texts, inputs = "".join(self._texts), "".join(self._inputs)
        self._tokens += estimate_output_tokens((texts,), (inputs,))
        self._texts.clear()
        self._inputs.clear()
        self._chars = 0


def read_usage(reported: Any, *, prompt_estimate: int, output_estimate: int) -> Usage:
    """Anthropic's counts from the last `usage` object of an answer; anything but a dict is none.

    Args:
        reported: `usage` as decoded.
        prompt_estimate: used when it holds no prompt tokens; a prompt is never empty.
        output_estimate: used when it holds no completion tokens either, or no way to them.
    """
    if not isinstance(reported, dict):
        return Usage(max(1, prompt_estimate), max(1, output_estimate), is_estimated=True)
    usage: dict[str, Any] = reported
    prompt_details = _object(usage, "prompt_tokens_details")
    output_details = _object(usage, "completion_tokens_details")
    prompt, output, total = (
        _count(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if output is None and total is not None and prompt:
        output = max(0, total - prompt)
    is_estimated = not prompt or output is None
    if output is None or not (prompt or output):
        output = max(1, output_estimate)
    prompt = prompt or max(1, prompt_estimate)
    cached = min(prompt, _cached_tokens(usage, prompt_details))
    written = _count(prompt_details, "cache_write_tokens") or 0
    return Usage(
        input_tokens=max(0, prompt - cached - written),
        output_tokens=output,
        cache_read_input_tokens=cached,
        cache_creation_input_tokens=written,
        thinking_tokens=_count(output_details, "reasoning_tokens"),
        is_estimated=is_estimated,
    )


def _cached_tokens(usage: dict[str, Any], details: dict[str, Any]) -> int:
    """Prompt tokens served from a cache: OpenAI's field, DeepSeek's, Moonshot's."""
    for fields, name in (
        (details, "cached_tokens"),
        (usage, "prompt_cache_hit_tokens"),
        (usage, "cached_tokens"),
    ):
        found = _count(fields, name)
        if found is not None:
            return found
    return 0


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _count(fields: dict[str, Any], name: str) -> int | None:
    """A count of tokens; null or absent is None, nonsense too."""
    value = fields.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return max(0, int(value))
