"""Every recorded request of real clients is translated, and loses only what the spec names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmproxyd.errors import BadRequest
from tests.dialects.openai_chat.calls import CEREBRAS, GPT_OSS, encoded
from tests.dialects.openai_chat.chat_checker import problems

FIXTURES = Path(__file__).parents[2] / "fixtures"
RECORDED = {
    path.stem: recorded["body"]
    for path in sorted(FIXTURES.glob("*.json"))
    if isinstance((recorded := json.loads(path.read_text())).get("body"), dict)
}
SEARCHES = {name for name in RECORDED if "websearch" in name}
TRANSLATED = sorted(RECORDED.keys() - SEARCHES)

PROVIDERS = {
    "generic": {},
    "cerebras": CEREBRAS,
    "gpt-oss": GPT_OSS,
    "llamacpp": {
        "tool_choice": "string",
        "schema_profile": "llamacpp",
        "reasoning_in": "reasoning_content",
        "reasoning": True,
        "reasoning_control": "chat_template_budget",
    },
    "plain": {"schema_profile": "plain", "tool_choice": "absent", "vision": False},
}
# What may be dropped from these requests (spec: section 1.1, correction 3).
LOSSES = {
    *("dropped:context_management", "dropped:safeguards", "dropped_block:redacted_thinking"),
    *("document_omitted", "image_omitted"),
}


def body_of(name):
    # the count_tokens requests have no max_tokens
    return {"max_tokens": 32000, **RECORDED[name]}


@pytest.mark.parametrize("flags", PROVIDERS.values(), ids=PROVIDERS)
@pytest.mark.parametrize("name", TRANSLATED)
def test_recorded_request_becomes_a_valid_one(name, flags):
    result = encoded(body_of(name), flags=flags)
    assert [] == problems(json.loads(result.body))
    assert set(result.notes) <= LOSSES


@pytest.mark.parametrize("name", TRANSLATED)
def test_no_text_and_no_tool_of_a_recorded_request_is_lost(name):
    body = body_of(name)
    request = json.loads(encoded(body).body)
    contents = json.dumps([message["content"] for message in request["messages"]])
    for said in texts([body.get("system"), [m["content"] for m in body["messages"]]]):
        if not said.startswith("x-anthropic-billing-header:"):
            assert json.dumps(said)[1:-1] in contents
    shown = {tool["function"]["name"] for tool in request.get("tools", ())}
    assert {tool["name"] for tool in body.get("tools", ())} - {"DeferredToolPlaceholder"} == shown


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict) and value.get("type") == "text":
        yield value["text"]
    elif isinstance(value, dict) and value.get("type") == "tool_result":
        yield from texts(value["content"])


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_r17_recorded_web_search_is_refused(name):
    with pytest.raises(BadRequest, match="Server tool 'web_search_20250305'"):
        encoded(body_of(name))


def test_tools_found_by_a_recorded_search_come_last_in_the_order_they_were_found():
    body = RECORDED["330-tool-search-followup"]
    names = [tool["function"]["name"] for tool in json.loads(encoded(body).body)["tools"]]
    assert ["Write", "WebFetch", "NotebookEdit"] == names[-3:]
    assert "DeferredToolPlaceholder" not in names
