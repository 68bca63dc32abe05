from __future__ import annotations

import pytest

from llmproxyd.dialects.anthropic.estimate import estimate_or_zero, estimate_prompt
from llmproxyd.errors import BadRequest
from llmproxyd.wire.tokens import estimate_prompt_tokens
from tests.dialects.anthropic.calls import make_call

BODY = {"messages": [{"role": "user", "content": "hello " * 100}]}


def test_the_estimate_is_of_the_prompt():
    assert estimate_prompt_tokens(BODY) == estimate_prompt(make_call(BODY))


def test_the_estimate_is_scaled_and_rounded_up():
    assert -(-estimate_prompt_tokens(BODY) * 3 // 2) == estimate_prompt(
        make_call(BODY, token_scale=1.5)
    )


def test_a_body_that_can_not_be_read_has_no_estimate():
    call = make_call(b'{"model":"asked","x":"\xff"}')

    assert 0 == estimate_or_zero(call)
    with pytest.raises(BadRequest):
        estimate_prompt(call)
