"""Tokens of a request, estimated."""

from __future__ import annotations

import math

from llmproxyd.errors import BadRequest
from llmproxyd.spi import Call
from llmproxyd.wire.messages import decode_body
from llmproxyd.wire.tokens import estimate_prompt_tokens


def estimate_prompt(call: Call) -> int:
    """Prompt tokens of `call`, scaled by what is known of its target.

    Raises:
        BadRequest: the body is not valid JSON.
    """
    estimate = estimate_prompt_tokens(decode_body(call.request.raw))
    return math.ceil(estimate * (call.token_scale or 1.0))


def estimate_or_zero(call: Call) -> int:
    """`estimate_prompt`, or 0 for a body that can not be read."""
    try:
        return estimate_prompt(call)
    except BadRequest:
        return 0
