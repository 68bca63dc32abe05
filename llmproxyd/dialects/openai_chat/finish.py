"""Why an answer ended: upstream's `finish_reason` to Anthropic's `stop_reason`, as a table.

Source: translation spec, section 2.5. Only stop reasons that the client knows are ever used: it
takes an unknown one for a silent success.
"""

from __future__ import annotations

from typing import Any

import msgspec

_STOPPED = frozenset({"stop", "eos", "eos_token", "end_turn", "completed"})
_CALLED = frozenset({"tool_calls", "function_call", "tool_use"})
_EXHAUSTED = frozenset({"length", "max_tokens", "model_length"})
_REFUSED = frozenset({"content_filter", "refusal", "sensitive"})
_FAILED = {
    "error": "api_error",
    "abort": "api_error",
    "network_error": "api_error",
    "insufficient_system_resource": "overloaded_error",
}


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How the answer ends for the client.

    Attributes:
        notes: what was odd about it, for the log.
    """

    stop_reason: str
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


def failure_kind(reason: str) -> str | None:
    """The error type when `reason` means that the answer failed, else None."""
    return _FAILED.get(reason.lower())


def is_cut_short(reason: str) -> bool:
    """The output budget ran out, so the last block may be half of one."""
    return reason.lower() in _EXHAUSTED


def conclude(
    reason: str, *, has_tool_use: bool, is_refusal: bool = False, stop_sequence: str | None = None
) -> Ending:
    """The ending for `reason`; "" when the upstream gave none.

    Args:
        reason: `finish_reason`, in any case.
        has_tool_use: a tool_use block was emitted.
        is_refusal: the model filled `refusal`.
        stop_sequence: the stop sequence that was hit, if it is known.
    """
    reason = reason.lower()
    if is_refusal or reason in _REFUSED:
        details = {"type": "refusal", "category": None, "explanation": None}
        return Ending(stop_reason="refusal", stop_details=details)
    if reason in _EXHAUSTED:
        return Ending(stop_reason="max_tokens")
    if has_tool_use:
        return Ending(stop_reason="tool_use", notes=_odd(reason))
    if reason in _CALLED:
        return Ending(stop_reason="end_turn", notes=("finish_reason_without_tool_call",))
    if stop_sequence is not None:
        return Ending(stop_reason="stop_sequence", stop_sequence=stop_sequence, notes=_odd(reason))
    return Ending(stop_reason="end_turn", notes=_odd(reason))


def _odd(reason: str) -> tuple[str, ...]:
    """A note about a reason that is in no row of the table."""
    is_known = not reason or reason in _STOPPED or reason in _CALLED
    return () if is_known else ("unknown_finish_reason",)
