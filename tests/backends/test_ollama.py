import pytest

from llmproxyd.errors import ProxyError

TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("A", "B")]


def test_goes_to_its_usual_port_without_a_key(entry, send) -> None:
    sent = send(entry("ollama", model="qwen3"))
    assert sent.url == "http://localhost:11434/v1/chat/completions"
    assert "authorization" not in sent.headers


def test_forced_tool_is_the_only_one_sent(entry, send) -> None:
    choice = {"type": "tool", "name": "B"}
    body = send(entry("ollama", model="m"), tools=TOOLS, tool_choice=choice).body
    assert ["B"] == [tool["function"]["name"] for tool in body["tools"]]
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("qwen3:30b", {"thinking": {"type": "disabled"}}, "none"),
        ("hf.co/unsloth/Qwen3-8B-GGUF", {"output_config": {"effort": "medium"}}, "medium"),
        ("deepseek-r1", {"output_config": {"effort": "max"}}, "high"),
        ("gpt-oss:20b", {"thinking": {"type": "disabled"}}, "low"),
        ("qwen3-coder:30b", {"output_config": {"effort": "high"}}, None),
        ("qwen3:4b-instruct", {"output_config": {"effort": "high"}}, None),
        ("llama3.2", {"output_config": {"effort": "high"}}, None),
    ],
)
def test_effort_goes_to_models_that_think_only(entry, send, model, fields, expected) -> None:
    body = send(entry("ollama", model=model), **fields).body
    assert expected == body.get("reasoning_effort")


def test_e09_prompt_that_does_not_fit_is_refused_before_it_is_sent(entry, send) -> None:
    backend = entry("ollama", model="m", context_window=4096)
    with pytest.raises(
        ProxyError, match=r"prompt is too long: \d+ tokens > 4096 maximum"
    ) as raised:
        send(backend, messages=[{"role": "user", "content": "a" * 80_000}])
    assert raised.value.status == 400


def test_prefill_goes_through(entry, send) -> None:
    messages = [{"role": "user", "content": "go"}, {"role": "assistant", "content": "Sure, "}]
    body = send(entry("ollama", model="m"), messages=messages).body
    assert body["messages"][-1] == {"role": "assistant", "content": "Sure,"}
