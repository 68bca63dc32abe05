import pytest

TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("A", "B")]


def test_goes_to_its_usual_port(entry, send) -> None:
    sent = send(entry("llamacpp", model="m"))
    assert sent.url == "http://localhost:8080/v1/chat/completions"


def test_forced_tool_is_required_and_the_only_one_sent(entry, send) -> None:
    choice = {"type": "tool", "name": "B"}
    body = send(entry("llamacpp", model="m"), tools=TOOLS, tool_choice=choice).body
    assert body["tool_choice"] == "required"
    assert ["B"] == [tool["function"]["name"] for tool in body["tools"]]


def test_patterns_that_its_grammar_trips_over_are_dropped(entry, send) -> None:
    properties = {"p": {"type": "string", "pattern": "a+"}, "q": {"type": "string"}}
    tool = {"name": "T", "input_schema": {"type": "object", "properties": properties}}
    [sent] = send(entry("llamacpp", model="m"), tools=[tool]).body["tools"]
    assert sent["function"]["parameters"]["properties"]["p"] == {"type": "string"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"thinking": {"type": "disabled"}}, (False, None)),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, (True, 2048)),
        ({"output_config": {"effort": "max"}}, (True, None)),
    ],
)
def test_thinking_is_switched_in_the_chat_template_with_its_budget(
    entry, send, fields, expected
) -> None:
    body = send(entry("llamacpp", model="Qwen3-8B-Q4_K_M.gguf"), **fields).body
    switch = body["chat_template_kwargs"]["enable_thinking"]
    assert expected == (switch, body.get("thinking_budget_tokens"))


@pytest.mark.parametrize("model", ["smollm2-135m", "Qwen3-Coder-30B.gguf"])
def test_model_that_does_not_think_is_not_told_to(entry, send, model) -> None:
    body = send(entry("llamacpp", model=model), thinking={"type": "disabled"}).body
    assert "chat_template_kwargs" not in body
