"""Token counts of one answer, in Anthropic's meaning: input excludes what the cache served."""

from __future__ import annotations

from typing import Any

import msgspec


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What one answer used, in tokens.

    Attributes:
        thinking_tokens: part of `output_tokens` spent on reasoning; None when unknown.
        is_estimated: the backend reported nothing usable, so we counted (never on the wire).
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    thinking_tokens: int | None = None
    is_estimated: bool = False

    def as_wire(self) -> dict[str, Any]:
        """The `usage` object of a message or a `message_delta`; the four integers are always there."""
        wire: dict[str, Any] = {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": self.cache_creation_input_tokens,
            "cache_read_input_tokens": self.cache_read_input_tokens,
            "output_tokens": self.output_tokens,
        }
        if self.thinking_tokens is not None:
            wire["output_tokens_details"] = {"thinking_tokens": self.thinking_tokens}
        return wire
