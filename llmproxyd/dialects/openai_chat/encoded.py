"""What the request side leaves for the response side of one exchange."""

from __future__ import annotations

import msgspec


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """A translated request, and what decoding its answer needs to know of it.

    Attributes:
        body: the Chat Completions request as compact JSON.
        notes: what was dropped or repaired, as in `UpstreamRequest.notes`.
        names: upstream tool name to the client's own, for names that had to change.
        tool_names: every tool name of the client (tools and history), unmapped.
        history_ids: every tool_use id in the conversation so far.
        proxy_stops: stop sequences that the upstream was not given and we match ourselves.
        stop_sequences: all stop sequences of the request, cleaned.
        wants_thinking: the client asked for thinking blocks.
        omits_thinking: it asked for them without text (`display: "omitted"`).
        max_tokens: the output budget that went up.
        prompt_tokens: estimate of the prompt, calibrated.
        raw_prompt_tokens: the same, uncalibrated.
    """

    body: bytes
    notes: tuple[str, ...] = ()
    names: dict[str, str] = {}
    tool_names: tuple[str, ...] = ()
    history_ids: frozenset[str] = frozenset()
    proxy_stops: tuple[str, ...] = ()
    stop_sequences: tuple[str, ...] = ()
    wants_thinking: bool = False
    omits_thinking: bool = False
    max_tokens: int = 0
    prompt_tokens: int = 0
    raw_prompt_tokens: int = 0
