"""Context overflow: every wording and form of section 4.3, cases E01 and E02."""

from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.openai_chat.errors import Mendable
from llmproxyd.spi import Limits, ResponseHead
from tests.dialects.openai_chat.upstream import decode, event, make_exchange, said


def refusal(status, answer, **more):
    """The error that a non-2xx answer becomes."""
    raw = json.dumps(answer).encode()
    return make_exchange(**more).error(ResponseHead(status), raw)


def openai(message="m", **more):
    return {"error": {"message": message, **more}}


TOO_LONG = "prompt is too long: {} tokens > {} maximum (capability_rejected: prompt_too_long)"
TOO_MUCH = (
    "input length and `max_tokens` exceed context limit: {} + {} > {}, "
    "decrease input length or `max_tokens` and try again"
)
VLLM = (
    "This model's maximum context length is {} tokens. However, you requested {} output tokens "
    "and your prompt contains at least {} input tokens, for a total of at least {} tokens."
)
OLD_VLLM = (
    "This model's maximum context length is {} tokens. However, you requested {} tokens "
    "({} in the messages, {} in the completion). Please reduce the length of the messages."
)
CEREBRAS = (
    "Please reduce the length of the messages or completion. Current length is {} while limit is {}"
)
LLAMACPP = {
    "error": {
        "code": 400,
        "message": "request (9000 tokens) exceeds the available context size (8192 tokens)",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9000,
        "n_ctx": 8192,
    }
}


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        pytest.param(openai(VLLM.format(32768, 4000, 40000, 44000)), (40000, 32768), id="E01"),
        pytest.param(LLAMACPP, (9000, 8192), id="E02"),
        (openai(LLAMACPP["error"]["message"]), (9000, 8192)),
        (openai(OLD_VLLM.format(32768, 44000, 40000, 4000)), (40000, 32768)),
        (
            openai(
                "This model's maximum context length is 8192 tokens. However, your messages "
                "resulted in 9000 tokens.",
                code="context_length_exceeded",
            ),
            (9000, 8192),
        ),
        (
            openai(
                "litellm.ContextWindowExceededError: BadRequestError: "
                + OLD_VLLM.format(8192, 12000, 10000, 2000)
            ),
            (10000, 8192),
        ),
        (openai("prompt is too long: 210000 tokens > 200000 maximum"), (210000, 200000)),
        (
            openai(
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1000000)."
            ),
            (1200000, 1000000),
        ),
        (
            openai(
                "Requested token count exceeds the model's maximum context length of 32768 tokens. You "
                "requested a total of 40000 tokens: 36000 tokens from the input messages and 4000 "
                "tokens for the completion."
            ),
            (36000, 32768),
        ),
        (
            openai(
                "This model's maximum prompt length is 131072 but the request contains 200000 tokens."
            ),
            (200000, 131072),
        ),
    ],
)
@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_overflow_form_a_with_both_numbers(body, numbers, status):
    error = refusal(status, body)
    assert (400, "invalid_request_error", TOO_LONG.format(*numbers)) == (
        error.status,
        error.kind,
        error.message,
    )
    assert not error.can_fail_over


@pytest.mark.parametrize(
    ("body", "window"),
    [
        (openai("m", code="context_length_exceeded"), None),
        (openai("m", type="exceed_context_size_error"), None),
        (openai("litellm.ContextWindowExceededError: m"), None),
        (openai("the request is larger than the max context size"), None),
        (openai("Input tokens exceeds the context window of this model"), None),
        (openai("input is longer than the context length currently available"), None),
        (openai("Please reduce the length of the messages"), None),
        (openai("prompt too long; exceeded max context length by 5 tokens"), None),
        (openai("Input is too long for requested model."), None),
        (
            {
                "error": "Trying to keep the first 9000 tokens when context the overflows. However, "
                "the model is loaded with context length of only 4096 tokens"
            },
            4096,
        ),
        (openai("This model's maximum context length is 8192 tokens."), 8192),
    ],
)
def test_overflow_in_every_wording_makes_the_client_compact(body, window):
    error = refusal(400, body)
    told = error.message.removeprefix("prompt is too long: ").split()
    assert TOO_LONG.format(told[0], told[3]) == error.message
    assert int(told[0]) > int(told[3])
    assert window is None or window == int(told[3])


def test_overflow_without_numbers_uses_the_configured_window_and_the_estimate():
    limits = Limits(context_window=20_000)
    body = openai("prompt is too long")
    assert TOO_LONG.format(20001, 20000) == refusal(400, body, limits=limits).message
    long = {"system": "word " * 40_000}
    told = refusal(400, body, limits=limits, body=long).message
    prompt, window = (int(word) for word in told.split() if word.isdigit())
    assert 20_000 == window
    assert 50_000 < prompt < 51_000


@pytest.mark.parametrize("status", [401, 404, 429, 503])
def test_overflow_words_under_other_statuses_are_no_overflow(status):
    assert "capability_rejected" not in refusal(status, openai("prompt is too long")).message


def test_overflow_inside_a_stream():
    error = decode(said("x"), event(LLAMACPP)).failure
    assert TOO_LONG.format(9000, 8192) == error.message
    assert (400, "invalid_request_error") == (error.status, error.kind)


@pytest.mark.parametrize(
    "body",
    [
        openai(OLD_VLLM.format(32768, 36000, 20000, 16000)),
        openai(
            "'max_tokens' or 'max_completion_tokens' is too large: 16000. This model's maximum "
            "context length is 32768 tokens and your request has 20000 input tokens "
            "(16000 > 32768 - 20000)."
        ),
        openai("input length and `max_tokens` exceed context limit: 20000 + 16000 > 32768, x"),
    ],
)
def test_overflow_form_b_offers_the_budget_that_fits(body):
    error = refusal(400, body)
    assert TOO_MUCH.format(20000, 16000, 32768) == error.message
    assert isinstance(error, Mendable)
    assert 32768 - 20000 - 64 == error.max_tokens


def test_overflow_form_b_takes_the_budget_that_was_asked_for():
    error = refusal(400, openai("maximum context length is 32768 tokens, prompt (20000)"))
    assert TOO_MUCH.format(20000, 32000, 32768) == error.message


def test_overflow_form_b_with_too_little_room_to_retry():
    error = refusal(400, openai(OLD_VLLM.format(21050, 36000, 20000, 16000)))
    assert TOO_MUCH.format(20000, 16000, 21050) == error.message
    assert not isinstance(error, Mendable)


def test_overflow_with_hardly_any_room_is_form_a():
    error = refusal(400, openai(OLD_VLLM.format(21000, 36000, 20000, 16000)))
    assert TOO_LONG.format(21001, 21000) == error.message


def test_cerebras_length_of_the_prompt_alone_is_form_a():
    body = {"message": CEREBRAS.format(70_000, 65_536), "code": "context_length_exceeded"}
    error = refusal(400, body, body={"system": "word " * 52_000})
    assert TOO_LONG.format(70_000, 65_536) == error.message


def test_cerebras_length_that_holds_the_completion_is_form_b():
    body = {"message": CEREBRAS.format(33_020, 32_768), "code": "context_length_exceeded"}
    error = refusal(400, body)
    assert TOO_MUCH.format(1020, 32000, 32768) == error.message
    assert isinstance(error, Mendable)
