"""Token counts in OpenAI's meaning: the prompt includes what the cache served."""

from __future__ import annotations

from typing import Any

from llmproxyd.reverse.fields import object_of


def chat_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """The `usage` object of a completion from that of a message; unknown counts are 0."""
    cached = _count(usage, "cache_read_input_tokens")
    created = _count(usage, "cache_creation_input_tokens")
    prompt = _count(usage, "input_tokens") + cached + created
    completion = _count(usage, "output_tokens")
    counts: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    details = object_of(usage.get("output_tokens_details"))
    if "thinking_tokens" in details:
        thinking = _count(details, "thinking_tokens")
        counts["completion_tokens_details"] = {"reasoning_tokens": thinking}
    return counts


def _count(counts: dict[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) else 0
