import pytest

from llmproxyd.reverse.usage import chat_usage


def counts(prompt, completion, cached=0, **details):
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        **details,
    }


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, counts(0, 0)),
        ({"input_tokens": 10, "output_tokens": 3}, counts(10, 3)),
        ({"input_tokens": None, "output_tokens": "3"}, counts(0, 0)),
        (
            {
                "input_tokens": 30,
                "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 10,
                "output_tokens": 20,
                "output_tokens_details": {"thinking_tokens": 5},
            },
            counts(100, 20, 60, completion_tokens_details={"reasoning_tokens": 5}),
        ),
        ({"output_tokens_details": {}}, counts(0, 0)),
        ({"output_tokens_details": None}, counts(0, 0)),
    ],
)
def test_usage(usage, expected):
    assert expected == chat_usage(usage)
