"""Refuse a prompt that the backend would cut off without a word (translation spec, 4.3 C)."""

from __future__ import annotations

from llmproxyd.errors import BadRequest
from llmproxyd.spi import Call
from llmproxyd.wire.overflow import too_long_message

_MARGIN = 512
# How far an estimate that no answer has confirmed may be above the truth.
_UNCALIBRATED_PER_CENT = 80


def preflight(call: Call, prompt_tokens: int) -> None:
    """Check the estimate of the prompt, calibrated as far as anything was learned.

    Raises:
        BadRequest: it does not fit; the wording makes the client compact.
    """
    window = call.target.limits.context_window
    if not call.target.quirks.preflight or window is None:
        return
    if call.token_scale is None:
        is_too_long = prompt_tokens * _UNCALIBRATED_PER_CENT > window * 100
    else:
        is_too_long = prompt_tokens > window - _MARGIN
    if is_too_long:
        raise BadRequest(too_long_message(prompt_tokens, window))
