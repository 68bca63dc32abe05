"""Anthropic's typed tools as functions (section 1.5)."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.typed_tools import TYPED_TOOLS
from llmproxyd.wire.tool_schema import tool_parameters
from tests.dialects.openai_chat.calls import body_of, sent, user


@pytest.mark.parametrize(
    ("kind", "name", "required"),
    [
        ("bash_20250124", "bash", ["command"]),
        ("bash_20241022", "bash", ["command"]),
        ("text_editor_20250728", "str_replace_based_edit_tool", ["command", "path"]),
        ("text_editor_20250124", "str_replace_editor", ["command", "path"]),
    ],
)
def test_client_side_typed_tool_is_a_function_with_its_documented_input(kind, name, required):
    request = sent(body_of(user("hi"), tools=[{"type": kind, "name": name}]))
    function = request["tools"][0]["function"]
    assert {"name", "description", "parameters"} == function.keys()
    assert name == function["name"]
    assert required == function["parameters"]["required"]


@pytest.mark.parametrize("family", TYPED_TOOLS)
def test_schemas_need_no_cleaning(family):
    _, schema = TYPED_TOOLS[family]
    assert schema == tool_parameters(schema)
