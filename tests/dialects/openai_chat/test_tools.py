"""Tool lists and tool_choice (1.5 to 1.7), deferred tools (correction 1)."""

from __future__ import annotations

import pytest

from llmproxyd.errors import BadRequest
from tests.dialects.openai_chat.calls import (
    assistant,
    body_of,
    encoded,
    function,
    sent,
    tool,
    tool_result,
    tool_use,
    user,
)

HI = user("hi")
SEARCH = tool("ToolSearch")
PLACEHOLDER = tool("DeferredToolPlaceholder", defer_loading=True)
SERVER = {"type": "web_search_20250305", "name": "web_search"}


def later(name):
    return tool(name, defer_loading=True)


def found(*names):
    """A turn in which the model searched for tools, and the client's answer."""
    items = [{"type": "tool_reference", "tool_name": name} for name in names]
    return [assistant(tool_use("s", "ToolSearch")), user(tool_result("s", items))]


def names_of(request):
    return [each["function"]["name"] for each in request.get("tools", ())]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (tool(), function()),
        (tool(type=None), function()),
        (tool(description=None), function(description="")),
        (tool(description=5), function(description="")),
        (tool(input_schema=None), function()),
        (tool(type="brand_new_20990101"), function()),
        ({"name": "Bash"}, function(description="")),
        ({"name": "Bash", "type": "custom"}, function(description="")),
    ],
)
def test_tool_is_a_function_with_three_keys(given, expected):
    assert [expected] == sent(body_of(HI, tools=[given]))["tools"]


def test_first_of_two_tools_with_one_name_is_kept():
    body = body_of(HI, tools=[tool(description="1"), tool(description="2")])
    assert [function(description="1")] == sent(body)["tools"]
    assert ("duplicate_tool:Bash",) == encoded(body).notes


def test_order_of_tools_is_unchanged():
    names = ["b", "a", "c"]
    assert names == names_of(sent(body_of(HI, tools=[tool(name) for name in names])))


@pytest.mark.parametrize("tools", [None, [], "x", [None, 5, {"description": "d"}, {"name": ""}]])
def test_no_tools_are_sent_when_there_is_none_to_send(tools):
    request = sent(body_of(HI, tools=tools, tool_choice={"type": "any"}))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & request.keys()


def test_descriptions_are_cut_only_where_the_backend_says_so():
    long = tool(description="x" * 5000)
    assert 5000 == len(sent(body_of(HI, tools=[long]))["tools"][0]["function"]["description"])
    cut = sent(body_of(HI, tools=[long]), flags={"tool_description_max": 1024})
    assert 1024 == len(cut["tools"][0]["function"]["description"])


def test_schema_profile_of_the_backend_is_used():
    schema = {"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}}
    body = body_of(HI, tools=[tool(input_schema=schema)])
    plain = sent(body, flags={"schema_profile": "plain"})["tools"][0]["function"]
    assert {"a": {"type": "string"}} == plain["parameters"]["properties"]
    full = sent(body)["tools"][0]["function"]
    assert schema == full["parameters"]


CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schemas", "flag", "expected"),
    [
        ([CLOSED, CLOSED], True, [True, True]),
        ([CLOSED, {"type": "object"}], True, [None, None]),
        ([CLOSED, CLOSED], None, [None, None]),
        ([CLOSED, CLOSED], False, [None, None]),
    ],
)
def test_strict_is_sent_on_all_tools_or_on_none(schemas, flag, expected):
    tools = [tool(f"t{n}", input_schema=schema) for n, schema in enumerate(schemas)]
    request = sent(body_of(HI, tools=tools), flags={"strict_tools": flag})
    assert expected == [each["function"].get("strict") for each in request["tools"]]


@pytest.mark.parametrize(
    ("tools", "turns", "expected"),
    [
        pytest.param([later("A"), tool("B")], [], ["A", "B"], id="no search tool: all in full"),
        pytest.param([SEARCH, later("A"), PLACEHOLDER], [], ["ToolSearch"], id="nothing found yet"),
        pytest.param([later("A"), PLACEHOLDER], [], ["A"], id="placeholder never goes"),
        pytest.param(
            [later("A"), SEARCH, later("B"), tool("C")],
            found("B", "A", "B"),
            ["ToolSearch", "C", "B", "A"],
            id="found ones last, in the order found",
        ),
        pytest.param([SEARCH, later("A")], found("X"), ["ToolSearch"], id="found but not listed"),
        pytest.param(
            [SEARCH, tool("A")], found("A"), ["ToolSearch", "A"], id="found but not deferred"
        ),
    ],
)
def test_deferred_tools_wait_until_a_search_has_found_them(tools, turns, expected):
    assert expected == names_of(sent(body_of(HI, *turns, tools=tools)))


def test_newly_found_tools_leave_the_list_before_them_as_it_was():
    tools = [SEARCH, later("A"), later("B")]
    before = sent(body_of(HI, *found("B"), tools=tools))["tools"]
    after = sent(body_of(HI, *found("B"), *found("A"), tools=tools))["tools"]
    assert before == after[: len(before)]


def test_forced_tool_is_sent_although_it_is_deferred():
    body = body_of(HI, tools=[SEARCH, later("A")], tool_choice={"type": "tool", "name": "A"})
    assert ["ToolSearch", "A"] == names_of(sent(body))


def test_deferred_tools_are_known_to_the_response_side():
    assert ("ToolSearch", "A") == encoded(body_of(HI, tools=[SEARCH, later("A")])).tool_names


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "web_search_20250305",
            "web_fetch_20250910",
            "code_execution_20250825",
            "memory_20250818",
        ),
        *("tool_search_tool_regex_20251119", "computer_20250124", "advisor_20260301"),
    ],
)
def test_r17_tools_without_a_schema_are_dropped_beside_others(kind):
    body = body_of(HI, tools=[{"type": kind, "name": "x"}, tool()])
    assert ["Bash"] == names_of(sent(body))
    assert (f"dropped_tool:{kind}",) == encoded(body).notes


def test_r17_mcp_toolset_has_no_name_and_is_dropped_beside_others():
    toolset = {"type": "mcp_toolset", "mcp_server_name": "s"}
    assert ["Bash"] == names_of(sent(body_of(HI, tools=[toolset, tool()])))


@pytest.mark.parametrize("tools", [[SERVER], [SERVER, tool()]])
def test_r17_choice_of_a_server_tool_is_refused(tools):
    body = body_of(HI, tools=tools, tool_choice={"type": "tool", "name": "web_search"})
    with pytest.raises(BadRequest, match="Server tool 'web_search_20250305' is not available"):
        encoded(body)


FORCED = {"type": "tool", "name": "B"}
AS_FUNCTION = {"type": "function", "function": {"name": "B"}}


@pytest.mark.parametrize(
    ("support", "choice", "tools", "expected"),
    [
        ("full", None, ["A", "B"], None),
        ("full", {"type": "auto"}, ["A", "B"], None),
        ("full", "any", ["A", "B"], "required"),
        ("full", {"type": "any"}, ["A", "B"], "required"),
        ("full", {"type": "none"}, ["A", "B"], "none"),
        ("full", FORCED, ["A", "B"], AS_FUNCTION),
        ("full", {"type": "odd"}, ["A", "B"], None),
        ("full", {"type": ["any"]}, ["A", "B"], None),
        ("full", 5, ["A", "B"], None),
        ("string", {"type": "any"}, ["A", "B"], "required"),
        ("string", {"type": "none"}, ["A", "B"], "none"),
        ("string", FORCED, ["B"], "required"),
        ("absent", {"type": "auto"}, ["A", "B"], None),
        ("absent", {"type": "any"}, ["A", "B"], None),
        ("absent", {"type": "none"}, [], None),
        ("absent", FORCED, ["B"], None),
    ],
)
def test_r18_tool_choice_as_far_as_the_backend_knows_it(support, choice, tools, expected):
    body = body_of(HI, tools=[tool("A"), tool("B")], tool_choice=choice)
    request = sent(body, flags={"tool_choice": support})
    assert tools == names_of(request)
    assert expected == request.get("tool_choice")


def test_weakened_tool_choice_is_noted():
    body = body_of(HI, tools=[tool()], tool_choice={"type": "any"})
    assert ("dropped:tool_choice",) == encoded(body, flags={"tool_choice": "absent"}).notes


def test_choice_of_a_tool_without_any_tools_is_left_out():
    assert "tool_choice" not in sent(body_of(HI, tool_choice=FORCED))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, {}),
        ({"tools_required_with_history": True}, {"tool_choice": "none"}),
        ({"tools_required_with_history": True, "tool_choice": "absent"}, {}),
    ],
)
def test_history_with_calls_gets_stub_tools_where_the_backend_insists(flags, expected):
    turns = [
        assistant(tool_use("1", "B"), tool_use("2", "a.b"), tool_use("3", "B")),
        user(tool_result("1")),
    ]
    result = sent(body_of(HI, *turns, tools=[]), flags=flags)
    stubs = (
        [function("B", description=""), function(names_of(result)[-1], description="")]
        if flags
        else []
    )
    if stubs:
        expected = {"tools": stubs, **expected}
    assert expected == {key: result[key] for key in ("tools", "tool_choice") if key in result}


def test_stub_tools_are_not_sent_beside_real_ones_or_without_history():
    flags = {"tools_required_with_history": True}
    assert ["A"] == names_of(
        sent(body_of(HI, assistant(tool_use("1", "B")), HI, tools=[tool("A")]), flags=flags)
    )
    assert [] == names_of(sent(body_of(HI), flags=flags))


def test_changed_names_are_told_to_the_response_side():
    body = body_of(HI, assistant(tool_use("1", "old.name")), HI, tools=[tool("new.name"), tool()])
    result = encoded(body)
    assert {"new.name", "old.name"} == set(result.names.values())
    assert ("new.name", "Bash", "old.name") == result.tool_names
