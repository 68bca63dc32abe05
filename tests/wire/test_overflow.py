from __future__ import annotations

import pytest

from llmproxyd.wire.overflow import (
    Overflow,
    budget_that_fits,
    find_overflow,
    overflow_message,
    too_long_message,
)

# wording -> (prompt, window, output)
WORDINGS = {
    "E01 vllm": (
        "This model's maximum context length is 32768 tokens. However, you requested 4096 output "
        "tokens and your prompt contains at least 40000 input tokens, for a total of at least "
        "44096 tokens. Please reduce the length of the input prompt.",
        (40000, 32768, 4096),
    ),
    "vllm exact": (
        "This model's maximum context length is 32768 tokens. However, you requested 4096 output "
        "tokens and your prompt contains 30000 input tokens.",
        (30000, 32768, 4096),
    ),
    "vllm budget": (
        "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context "
        "length is 32768 tokens and your request has 1500 input tokens (32000 > 32768 - 1500).",
        (1500, 32768, 32000),
    ),
    "vllm newer": (
        "You passed 40000 input tokens and requested 4096 output tokens. However, the model's "
        "context length is only 32768 tokens.",
        (40000, 32768, 4096),
    ),
    "vllm decoder": (
        "The decoder prompt (length 40000) is longer than the maximum model length of 32768.",
        (40000, 32768, None),
    ),
    "openai messages": (
        "This model's maximum context length is 4097 tokens. However, you requested 5200 tokens "
        "(4000 in the messages, 200 in the functions, 1000 in the completion). Please reduce.",
        (4200, 4097, 1000),
    ),
    "openai resulted": (
        "This model's maximum context length is 128000 tokens. However, your messages resulted in "
        "149767 tokens (149000 in the messages, 767 in the functions).",
        (149767, 128000, None),
    ),
    "openai limit": (
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in "
        "300000 tokens. Please reduce the length of the messages.",
        (300000, 272000, None),
    ),
    "openai window": (
        "Your input exceeds the context window of this model. Please adjust your input.",
        (None, None, None),
    ),
    "openrouter": (
        "This endpoint's maximum context length is 131072 tokens. However, you requested about "
        "150100 tokens (118000 of text input, 100 of tool input, 32000 in the output).",
        (118100, 131072, 32000),
    ),
    "E02 llama.cpp": (
        "request (12031 tokens) exceeds the available context size (4096 tokens), try increasing it",
        (12031, 4096, None),
    ),
    "llama.cpp older": (
        "input (9000 tokens) is larger than the max context size (8192 tokens). skipping",
        (9000, 8192, None),
    ),
    "litellm": (
        "litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - too much",
        (None, None, None),
    ),
    "ollama": (
        "the prompt is longer than the context length currently available to the model; shorten it",
        (None, None, None),
    ),
    "ollama embedding": ("the input length exceeds the context length", (None, None, None)),
    "ollama mlx": (
        "input length (40000 tokens) exceeds the model's maximum context length (32768 tokens)",
        (40000, 32768, None),
    ),
    "cerebras": (
        "Please reduce the length of the messages or completion. "
        "Current length is 70000 while limit is 65536",
        (70000, 65536, None),
    ),
    "gemini": (
        "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
        (1100000, 1048576, None),
    ),
    "sglang": (
        "Requested token count exceeds the model's maximum context length of 131072 tokens. You "
        "requested a total of 140000 tokens: 108000 tokens from the input messages and 32000 "
        "tokens for the completion.",
        (108000, 131072, 32000),
    ),
    "sglang input": (
        "The input (40000 tokens) is longer than the model's context length (32768 tokens).",
        (40000, 32768, None),
    ),
    "xai": (
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        (537812, 131072, None),
    ),
    "mistral": (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with "
        "32768 maximum context length",
        (40000, 32768, None),
    ),
    "moonshot": (
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 291351)",
        (291351, 262144, None),
    ),
    "lm studio": (
        "Trying to keep the first 5000 tokens when context the overflows. However, the model is "
        "loaded with context length of only 4096 tokens, which is not enough.",
        (5000, 4096, None),
    ),
    "anthropic": ("prompt is too long: 200251 tokens > 200000 maximum", (200251, 200000, None)),
    "anthropic budget": (
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease",
        (188240, 200000, 21333),
    ),
    "bedrock": ("Input is too long for requested model.", (None, None, None)),
}


@pytest.mark.parametrize(("text", "numbers"), WORDINGS.values(), ids=WORDINGS)
def test_every_known_wording_is_read(text, numbers):
    found = find_overflow(text, {})

    assert found is not None
    assert numbers == (found.prompt_tokens, found.window, found.output_tokens)


def test_numbers_in_fields_win_over_the_text():
    found = find_overflow(
        "no", {"type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192}
    )

    assert Overflow(9000, 8192) == found


def test_a_code_alone_is_enough():
    assert Overflow() == find_overflow("sorry", {"code": "context_length_exceeded"})


@pytest.mark.parametrize("value", [True, 0, -1, "9000", None, 1.5])
def test_a_field_that_is_no_count_is_ignored(value):
    found = find_overflow("prompt too long", {"n_ctx": value})

    assert found is not None
    assert found.window is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "messages: text content blocks must be non-empty",
        "max_tokens: 200000 > 128000, which is the maximum allowed number of output tokens",
        "Rate limit reached for tokens per min: Limit 200000, Requested 480002",
    ],
)
def test_other_errors_are_not_overflows(text):
    assert find_overflow(text, {}) is None


@pytest.mark.parametrize(
    ("overflow", "budget"),
    [
        (Overflow(1500, 32768, 32000), 32768 - 1500 - 64),
        (Overflow(31700, 32768, 4096), None),  # below 1024 tokens of room
        (Overflow(40000, 32768, 4096), None),
        (Overflow(100, 32768, 2000), None),  # the budget was not the fault
        (Overflow(None, 32768, 4096), None),
        (Overflow(100, None, 4096), None),
        (Overflow(100, 32768, None), None),
    ],
)
def test_budget_is_cut_only_when_that_helps(overflow, budget):
    assert budget == budget_that_fits(overflow)


@pytest.mark.parametrize(
    ("overflow", "estimate", "message"),
    [
        (Overflow(40000, 32768, 4096), 1, too_long_message(40000, 32768)),
        (Overflow(40000, 32768), 1, too_long_message(40000, 32768)),
        (Overflow(30000, 32768), 1, too_long_message(32769, 32768)),  # always above the window
        (Overflow(None, 8192), 20000, too_long_message(20000, 8192)),
        (Overflow(None, 8192), 100, too_long_message(8193, 8192)),
        (Overflow(9000, None), 1, too_long_message(9000, 8999)),
        (Overflow(), 500, too_long_message(500, 499)),
        (Overflow(), 0, too_long_message(2, 1)),
        (Overflow(32000, 32768, 4096), 1, too_long_message(32769, 32768)),  # no room to answer
    ],
)
def test_form_a_is_said_when_the_prompt_alone_does_not_fit(overflow, estimate, message):
    assert message == overflow_message(overflow, estimate=estimate)


def test_form_a_is_worded_as_clients_match_it():
    assert too_long_message(40000, 32768) == (
        "prompt is too long: 40000 tokens > 32768 maximum (capability_rejected: prompt_too_long)"
    )


def test_form_b_is_said_when_only_the_budget_is_too_large():
    assert overflow_message(Overflow(10000, 32768, 32000), estimate=1) == (
        "input length and `max_tokens` exceed context limit: 10000 + 32000 > 32768, "
        "decrease input length or `max_tokens` and try again"
    )


def test_completion_raises_a_lower_bound_to_the_estimate():
    found = find_overflow(WORDINGS["E01 vllm"][0], {})

    assert found is not None
    assert 50000 == found.completed(estimate=50000, window=None).prompt_tokens
    assert 40000 == found.completed(estimate=9, window=None).prompt_tokens


def test_completion_takes_the_configured_window_only_when_none_was_told():
    assert Overflow(1, 4096) == Overflow(1, None).completed(estimate=9, window=4096)
    assert Overflow(1, 8192) == Overflow(1, 8192).completed(estimate=9, window=4096)
    assert Overflow(None, 8192) == Overflow(None, 8192).completed(estimate=9, window=None)
