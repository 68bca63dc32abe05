import pytest

TOOL = {"name": "T", "input_schema": {"type": "object"}}


def test_goes_to_its_usual_port_over_chat_completions(entry, send) -> None:
    sent = send(entry("litellm", model="local"))
    assert sent.url == "http://localhost:4000/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer dummy"


def test_key_comes_from_the_environment(entry, send) -> None:
    sent = send(entry("litellm", {"LITELLM_API_KEY": "sk-master"}, model="local"))
    assert sent.headers["authorization"] == "Bearer sk-master"


def test_its_cache_is_bypassed(entry, send) -> None:
    assert send(entry("litellm")).body["cache"] == {"no-cache": True, "no-store": True}


def test_configuration_may_use_its_cache(entry, send) -> None:
    body = send(entry("litellm", quirks={"litellm_cache": {"ttl": 600}})).body
    assert body["cache"] == {"ttl": 600}


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("gpt-5", {"output_config": {"effort": "max"}}, "high"),
        ("gpt-5", {"thinking": {"type": "disabled"}}, None),
        ("local", {"output_config": {"effort": "max"}}, None),
    ],
)
def test_effort_is_sent_only_where_the_name_tells(entry, send, model, fields, expected) -> None:
    body = send(entry("litellm", model=model), **fields).body
    assert expected == body.get("reasoning_effort")


def test_history_with_tools_brings_stubs_for_claude_models(entry, send) -> None:
    call = {"type": "tool_use", "id": "a", "name": "T", "input": {}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
    ]
    body = send(entry("litellm", model="bedrock-claude"), messages=messages).body
    assert ["T"] == [tool["function"]["name"] for tool in body["tools"]]
    assert "tools" not in send(entry("litellm", model="local"), messages=messages).body
