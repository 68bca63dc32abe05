"""Section 8: flags that are off unless the configuration sets them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.vocabulary import (
    DONE,
    MODEL,
    assistant,
    delta,
    finish,
    request,
    sse,
    streamed,
    text,
    tool,
    tool_delta,
    tool_result,
    tool_use,
    usage,
    user,
)

ADAPTIVE = {"type": "adaptive"}
LOOP = [user("hi"), assistant(tool_use("toolu_0123456789")), user(tool_result("toolu_0123456789"))]


async def sent(serve: Serve, quirks: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    rig = await serve(quirks=quirks)
    assert 200 == (await rig.ask(body)).status
    return rig.upstream.body


async def test_system_role(serve: Serve) -> None:
    body = await sent(serve, {"system_role": "developer"}, request(system="A"))
    assert {"role": "developer", "content": "A"} == body["messages"][0]


async def test_no_stream_options(serve: Serve) -> None:
    assert "stream_options" not in await sent(serve, {"no_stream_options": True}, request())


async def test_first_user_required(serve: Serve) -> None:
    given = request(assistant("x"), user("y"))
    body = await sent(serve, {"first_user_required": True}, given)
    assert {"role": "user", "content": "(conversation continues)"} == body["messages"][0]
    assert "assistant" == body["messages"][1]["role"]


async def test_assistant_without_null_content(serve: Serve) -> None:
    body = await sent(serve, {"assistant_null_content": False}, request(*LOOP))
    assert "" == body["messages"][1]["content"]


@pytest.mark.parametrize("size", [9, 12, 40])
async def test_tool_id_max(serve: Serve, size: int) -> None:
    body = await sent(serve, {"tool_id_max": size}, request(*LOOP))
    call_id = body["messages"][1]["tool_calls"][0]["id"]
    assert call_id == body["messages"][2]["tool_call_id"]
    assert len(call_id) <= size
    assert call_id.isalnum() or (size > 9 and call_id.replace("_", "").isalnum())


async def test_tool_description_max(serve: Serve) -> None:
    tools = [tool("T", description="x" * 500)]
    body = await sent(serve, {"tool_description_max": 100}, request(tools=tools))
    assert len(body["tools"][0]["function"]["description"]) <= 100


async def test_tools_required_with_history(serve: Serve) -> None:
    body = await sent(serve, {"tools_required_with_history": True}, request(*LOOP))
    assert ["Bash"] == [entry["function"]["name"] for entry in body["tools"]]
    assert "none" == body["tool_choice"]


async def test_schema_profile_plain(serve: Serve) -> None:
    schema = {
        "type": "object",
        "$defs": {"d": {"type": "string", "format": "uri"}},
        "properties": {
            "a": {"type": ["null", "integer"], "minimum": 1},
            "b": {"const": "x"},
            "c": {"$ref": "#/$defs/d"},
            "pattern": {"type": "string", "pattern": "^x$"},
        },
    }
    tools = [tool("T", input_schema=schema)]
    body = await sent(serve, {"schema_profile": "plain"}, request(tools=tools))
    expected = {
        "a": {"type": "integer"},
        "b": {"enum": ["x"]},
        "c": {"type": "string"},
        "pattern": {"type": "string"},
    }
    assert expected == body["tools"][0]["function"]["parameters"]["properties"]


STRICT_SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("second", "expected"), [(STRICT_SCHEMA, True), ({"type": "object"}, None)]
)
async def test_strict_is_the_same_on_all_tools(serve: Serve, second: Any, expected: Any) -> None:
    tools = [tool("S", input_schema=STRICT_SCHEMA), tool("T", input_schema=second)]
    body = await sent(serve, {"strict_tools": True}, request(tools=tools))
    assert [expected] * 2 == [entry["function"].get("strict") for entry in body["tools"]]


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_repair_args_closes_what_is_open(serve: Serve, *, streams: bool) -> None:
    reply = sse(tool_delta(0, "a", "Bash", '{"x":["y'), finish("tool_calls"), usage(), DONE)
    rig = await serve(reply, quirks={"repair_args": True})
    got = await rig.ask(request(tools=[tool("Bash")], stream=streams))
    assert [{"x": ["y"]}] == [block["input"] for block in got.content]


async def test_repair_args_never_guesses_at_a_cut_answer(serve: Serve) -> None:
    reply = sse(tool_delta(0, "a", "Bash", '{"x":["y'), finish("length"), usage(), DONE)
    rig = await serve(reply, quirks={"repair_args": True})
    got = await rig.ask(request(tools=[tool("Bash")], stream=True))
    assert "__unparsedToolInput" in got.content[0]["input"]


MARKUP = '<tool_call>{"name": "Bash", "arguments": {"x": 1}}</tool_call>'


@pytest.mark.parametrize(("is_on", "kind"), [(True, "tool_use"), (False, "text")])
async def test_salvage_text_tools(serve: Serve, kind: str, *, is_on: bool) -> None:
    rig = await serve(streamed({"content": MARKUP}), quirks={"salvage_text_tools": is_on})
    got = await rig.ask(request(tools=[tool("Bash")], stream=True))
    assert [kind] == [block["type"] for block in got.content]
    assert is_on == (got.message["stop_reason"] == "tool_use")


OPEN_TAGS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "closed": ("r</think>\n\nans", [("thinking", "r"), ("text", "ans")]),
    "never-closed": ("only text", [("text", "only text")]),
}


@pytest.mark.parametrize(("content", "blocks"), OPEN_TAGS.values(), ids=OPEN_TAGS)
async def test_think_tags_always_open(
    serve: Serve, content: str, blocks: list[tuple[str, str]]
) -> None:
    rig = await serve(streamed({"content": content}), quirks={"think_tags": "always_open"})
    got = await rig.ask(request(stream=True, thinking=ADAPTIVE))
    assert blocks == [(block["type"], block[block["type"]]) for block in got.content]


async def test_think_tags_off(serve: Serve) -> None:
    words = "<think>r</think>ans"
    rig = await serve(streamed({"content": words}), quirks={"think_tags": "off"})
    got = await rig.ask(request(stream=True, thinking=ADAPTIVE))
    assert [text(words)] == got.content


async def test_emit_thinking_always(serve: Serve) -> None:
    reply = sse(delta(reasoning="r"), delta(content="x"), finish("stop"), DONE)
    rig = await serve(reply, quirks={"emit_thinking": "always"})
    got = await rig.ask(request(stream=True))
    assert ["thinking", "text"] == [block["type"] for block in got.content]


@pytest.mark.parametrize("kind", ["litellm"])
async def test_litellm_is_told_not_to_cache(serve: Serve, kind: str) -> None:
    rig = await serve(kind=kind)
    await rig.ask(request())
    assert {"no-cache": True, "no-store": True} == rig.upstream.body["cache"]


async def test_flag_of_one_model_only(serve: Serve) -> None:
    rig = await serve(limits={MODEL: {"reasoning": True}})
    wish = {"output_config": {"effort": "high"}}
    for name in (MODEL, "other"):
        await rig.ask(request(**wish) | {"model": name})
    assert ["high", None] == [
        received.body.get("reasoning_effort") for received in rig.upstream.requests
    ]
