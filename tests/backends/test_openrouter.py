import pytest

ENV = {"OPENROUTER_API_KEY": "sk-or-test"}


def test_goes_to_the_saas_with_the_key_of_the_environment(entry, send) -> None:
    sent = send(entry("openrouter", ENV, model="m"))
    assert sent.url == "https://openrouter.ai/api/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer sk-or-test"


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("qwen/qwen3-32b", {"thinking": {"type": "disabled"}}, {"enabled": False}),
        ("qwen/qwen3-32b", {"output_config": {"effort": "max"}}, {"effort": "high"}),
        (
            "z-ai/glm-4.6",
            {"thinking": {"type": "enabled", "budget_tokens": 9000}},
            {"max_tokens": 9000},
        ),
        ("qwen/qwen3-235b-a22b-thinking-2507", {"thinking": {"type": "disabled"}}, None),
        ("openai/gpt-5", {"thinking": {"type": "disabled"}}, None),
    ],
)
def test_reasoning_is_controlled_where_it_can_be_switched_off(
    entry, send, model, fields, expected
) -> None:
    body = send(entry("openrouter", ENV, model=model), **fields).body
    assert expected == body.get("reasoning")


def test_top_k_goes_through(entry, send) -> None:
    assert send(entry("openrouter", ENV), top_k=7).body["top_k"] == 7
