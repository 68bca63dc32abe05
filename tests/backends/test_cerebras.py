import pytest

ENV = {"CEREBRAS_API_KEY": "csk-test"}
TOOL = {"name": "T", "input_schema": {"type": "object"}}
FORMAT = {"format": {"type": "json_schema", "schema": {"type": "object"}}}


def test_goes_to_the_saas_with_the_key_of_the_environment(entry, send) -> None:
    sent = send(entry("cerebras", ENV, model="gpt-oss-120b"))
    assert sent.url == "https://api.cerebras.ai/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer csk-test"
    assert sent.body["model"] == "gpt-oss-120b"


def test_credentials_of_the_client_stay_here(entry, send) -> None:
    headers = (("X-Api-Key", "sk-client"), ("Authorization", "Bearer sk-client"))
    sent = send(entry("cerebras", ENV), headers=(*headers, ("Anthropic-Beta", "b")))
    assert "sk-client" not in repr(sent.raw)
    assert not {"x-api-key", "anthropic-beta"} & set(sent.headers)


def test_r24_output_is_capped_and_named_as_it_wants(entry, send) -> None:
    body = send(entry("cerebras", ENV, model="gpt-oss-120b")).body
    assert body["max_completion_tokens"] == 16384
    assert "max_tokens" not in body


def test_configuration_may_raise_the_cap(entry, send) -> None:
    body = send(entry("cerebras", ENV, model="gpt-oss-120b", max_output=20_000)).body
    assert body["max_completion_tokens"] == 20_000


@pytest.mark.parametrize(
    ("model", "request_fields", "expected"),
    [
        ("gpt-oss-120b", {"output_config": {"effort": "max"}}, "high"),
        ("gpt-oss-120b", {"output_config": {"effort": "low"}}, "low"),
        ("gpt-oss-120b", {"thinking": {"type": "disabled"}}, "low"),
        ("gpt-oss-120b", {}, None),
        ("zai-glm-4.7", {"thinking": {"type": "disabled"}}, "none"),
        ("zai-glm-4.7", {"output_config": {"effort": "high"}}, None),
        ("qwen-3-32b", {"thinking": {"type": "disabled"}}, "none"),
        ("qwen-3-235b-a22b-instruct-2507", {"thinking": {"type": "disabled"}}, None),
        ("qwen-3-coder-480b", {"thinking": {"type": "disabled"}}, None),
        ("llama3.1-8b", {"output_config": {"effort": "high"}}, None),
    ],
)
def test_r21_effort_is_said_in_the_words_of_the_model(
    entry, send, model, request_fields, expected
) -> None:
    body = send(entry("cerebras", ENV, model=model), **request_fields).body
    assert expected == body.get("reasoning_effort")


def test_r27_structured_output_with_tools_goes_into_the_system_text(entry, send) -> None:
    body = send(entry("cerebras", ENV), output_config=FORMAT, tools=[TOOL]).body
    assert "response_format" not in body
    assert body["messages"][0]["role"] == "system"
    assert "response_format" in send(entry("cerebras", ENV), output_config=FORMAT).body


def test_temperature_is_clamped(entry, send) -> None:
    assert send(entry("cerebras", ENV), temperature=1.9).body["temperature"] == 1.5


def test_reasoning_of_the_running_tool_loop_goes_back(entry, send) -> None:
    call = {"type": "tool_use", "id": "a", "name": "T", "input": {}}
    body = send(
        entry("cerebras", ENV, model="gpt-oss-120b"),
        messages=[
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t1"}, call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
        ],
        tools=[TOOL],
    ).body
    assert body["messages"][1]["reasoning"] == "t1"
    assert "reasoning_content" not in body["messages"][1]
