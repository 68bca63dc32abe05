"""A prompt that would be cut off silently is refused (section 4.3 C)."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.preflight import preflight
from llmproxyd.errors import BadRequest
from llmproxyd.spi import Limits
from tests.dialects.openai_chat.calls import body_of, call_of, user


def check(tokens, *, scale, window=4096, is_on=True):
    call = call_of(
        body_of(user("hi")),
        flags={"preflight": is_on},
        limits=Limits(context_window=window),
        token_scale=scale,
    )
    preflight(call, tokens)


@pytest.mark.parametrize(
    ("tokens", "scale", "window", "is_on"),
    [
        (4096 - 512, 1.1, 4096, True),
        (5120, None, 4096, True),
        (10**6, 1.1, None, True),
        (10**6, 1.1, 4096, False),
    ],
)
def test_prompt_that_may_fit_is_let_through(tokens, scale, window, is_on):
    check(tokens, scale=scale, window=window, is_on=is_on)


@pytest.mark.parametrize(
    ("tokens", "scale", "told"),
    [(4096 - 511, 1.1, 4097), (5121, None, 5121), (20000, None, 20000), (20000, 1.0, 20000)],
)
def test_e09_prompt_that_does_not_fit_is_refused_in_the_words_that_clients_heal(
    tokens, scale, told
):
    with pytest.raises(BadRequest) as caught:
        check(tokens, scale=scale)
    expected = (
        f"prompt is too long: {told} tokens > 4096 maximum (capability_rejected: prompt_too_long)"
    )
    assert expected == caught.value.message
    assert (400, "invalid_request_error") == (caught.value.status, caught.value.kind)
