import pytest

URL = "http://gpu:8000"


def test_goes_to_the_configured_address(entry, send) -> None:
    sent = send(entry("vllm", url=URL, model="m"))
    assert sent.url == f"{URL}/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer dummy"


def test_top_k_goes_through(entry, send) -> None:
    assert send(entry("vllm", url=URL, model="m"), top_k=7).body["top_k"] == 7


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("Qwen/Qwen3-32B", {"thinking": {"type": "enabled", "budget_tokens": 10_000}}, True),
        ("Qwen/Qwen3-32B", {"thinking": {"type": "disabled"}}, False),
        ("zai-org/GLM-4.6", {"thinking": {"type": "disabled"}}, False),
        ("deepseek-ai/DeepSeek-V3.1", {"output_config": {"effort": "low"}}, True),
        ("Qwen/Qwen3-32B", {}, None),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", {"thinking": {"type": "disabled"}}, None),
        ("meta-llama/Llama-3.3-70B", {"thinking": {"type": "disabled"}}, None),
    ],
)
def test_r22_thinking_is_switched_in_the_chat_template(
    entry, send, model, fields, expected
) -> None:
    body = send(entry("vllm", url=URL, model=model), **fields).body
    assert expected == body.get("chat_template_kwargs", {}).get("enable_thinking")
    assert "thinking" not in body


def test_gpt_oss_takes_an_effort(entry, send) -> None:
    backend = entry("vllm", url=URL, model="openai/gpt-oss-120b")
    body = send(backend, thinking={"type": "disabled"}).body
    assert body["reasoning_effort"] == "low"


def test_r12_prefill_is_continued(entry, send) -> None:
    messages = [{"role": "user", "content": "go"}, {"role": "assistant", "content": "Sure, "}]
    body = send(entry("vllm", url=URL, model="m"), messages=messages).body
    assert (True, False) == (body["continue_final_message"], body["add_generation_prompt"])
    assert body["messages"][-1]["content"] == "Sure,"
