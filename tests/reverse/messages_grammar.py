"""Is this a body that a strict Messages backend takes? Written from its documentation alone."""

import json
import re

TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
TOP_LEVEL = {
    *("model", "max_tokens", "stream", "system", "messages", "tools", "tool_choice"),
    *("temperature", "top_p", "stop_sequences", "metadata", "thinking", "output_config"),
}
IMAGE_TYPES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
USER_BLOCKS = {"text", "image", "document", "tool_result"}
ASSISTANT_BLOCKS = {"text", "tool_use"}


def check(raw):
    """Raise AssertionError unless `raw` is a valid request; returns it decoded."""
    body = json.loads(raw)
    assert set() == set(body) - TOP_LEVEL
    assert isinstance(body["model"], str)
    assert type(body["max_tokens"]) is int
    assert body["max_tokens"] >= 1
    assert 0 <= body.get("temperature", 0) <= 1
    assert 0 <= body.get("top_p", 0) <= 1
    assert all(stop.strip() for stop in body.get("stop_sequences", ["x"]))
    assert body.get("system", "x").strip()
    check_options(body)
    check_tools(body)
    check_messages(body["messages"])
    return body


def check_options(body):
    config = body.get("output_config", {})
    assert set() == set(config) - {"effort", "format"}
    assert config.get("effort", "low") in {"low", "medium", "high", "xhigh", "max"}
    if "format" in config:
        assert {"type", "schema"} == set(config["format"])
        assert "json_schema" == config["format"]["type"]
        assert isinstance(config["format"]["schema"], dict)
    assert body.get("thinking", {"type": "disabled"}) == {"type": "disabled"}
    assert isinstance(body.get("metadata", {"user_id": ""})["user_id"], str)


def check_tools(body):
    tools = body.get("tools")
    choice = body.get("tool_choice")
    if tools is None:
        assert choice is None
        return
    assert tools
    names = [tool["name"] for tool in tools]
    assert len(names) == len(set(names))
    for tool in tools:
        assert set() == set(tool) - {"name", "description", "input_schema"}
        assert "object" == tool["input_schema"]["type"]
    if choice is not None:
        assert choice["type"] in {"auto", "any", "none", "tool"}
        assert ("name" in choice) == (choice["type"] == "tool")
        assert choice.get("name", names[0]) in names
        assert choice["type"] != "none" or "disable_parallel_tool_use" not in choice


def check_messages(messages):
    assert messages
    seen, calls = set(), []
    for number, message in enumerate(messages):
        assert {"role", "content"} == set(message)
        assert ("user", "assistant")[number % 2] == message["role"]
        blocks = message["content"]
        assert blocks
        kinds = [block["type"] for block in blocks]
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if message["role"] == "user":
            assert set() == set(kinds) - USER_BLOCKS
            assert calls == results, "each call has one result, in order, in the next turn"
            assert ["tool_result"] * len(results) == kinds[: len(results)]
            calls = []
        else:
            assert set() == set(kinds) - ASSISTANT_BLOCKS
            calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
            assert len(calls) == len(set(calls))
            assert not seen & set(calls)
            assert all(TOOL_ID.fullmatch(call) for call in calls)
            seen |= set(calls)
        for block in blocks:
            check_block(block)
    assert [] == calls
    last = messages[-1]
    if last["role"] == "assistant":
        assert last["content"][-1]["text"] == last["content"][-1]["text"].rstrip()


def check_block(block):
    match block["type"]:
        case "text":
            assert {"type", "text"} == set(block)
            assert block["text"].strip()
        case "image":
            check_image(block["source"])
        case "document":
            assert "application/pdf" == block["source"]["media_type"]
        case "tool_use":
            assert {"type", "id", "name", "input"} == set(block)
            assert isinstance(block["input"], dict)
            assert block["name"]
        case _:
            assert set() == set(block) - {"type", "tool_use_id", "content"}
            for child in block.get("content", []):
                assert child["type"] in {"text", "image", "document"}
                check_block(child)
            assert block.get("content") != []


def check_image(source):
    if source["type"] == "url":
        assert source["url"].lower().startswith(("http://", "https://"))
    else:
        assert "base64" == source["type"]
        assert source["media_type"] in IMAGE_TYPES
        assert source["data"]
