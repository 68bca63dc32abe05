import pytest

from llmproxyd.errors import BadRequest
from llmproxyd.reverse.fields import Notes
from llmproxyd.reverse.tools import tool_fields
from tests.reverse.chat import tool

EMPTY = {"type": "object", "properties": {}}
TOOLS = [tool("f"), tool("g")]


def named(name):
    return {"type": "function", "function": {"name": name}}


def allowed(mode, *names):
    tools = [named(name) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def choice_of(value, **fields):
    return tool_fields({"tools": TOOLS, "tool_choice": value, **fields}, Notes()).get("tool_choice")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (tool("f"), {"name": "f", "input_schema": EMPTY}),
        (
            tool("f", description="d", parameters={"type": "object", "required": ["a"]}),
            {
                "name": "f",
                "description": "d",
                "input_schema": {"type": "object", "required": ["a"]},
            },
        ),
        (tool("f", description=None, parameters=None), {"name": "f", "input_schema": EMPTY}),
        (tool("f", parameters={}), {"name": "f", "input_schema": {"type": "object"}}),
        (tool("f", parameters={"type": None}), {"name": "f", "input_schema": {"type": "object"}}),
        ({"function": {"name": "f"}}, {"name": "f", "input_schema": EMPTY}),
        (tool("f", strict=True), {"name": "f", "input_schema": EMPTY}),
    ],
)
def test_tool(given, expected):
    assert {"tools": [expected]} == tool_fields({"tools": [given]}, Notes())


def test_tools_keep_their_order_and_of_equal_names_the_first():
    notes = Notes()
    tools = [tool("g"), tool("f", strict=True), tool("g", description="again")]
    fields = tool_fields({"tools": tools}, notes)
    assert [{"name": "g", "input_schema": EMPTY}, {"name": "f", "input_schema": EMPTY}] == fields[
        "tools"
    ]
    assert ("dropped:strict", "duplicate_tool") == notes.words


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        (named("g"), {"type": "tool", "name": "g"}),
        (allowed("auto", "f"), {"type": "auto"}),
        (allowed("required", "f"), {"type": "any"}),
    ],
)
def test_choice(value, expected):
    assert expected == choice_of(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("auto", {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
        (named("f"), {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
        ("none", {"type": "none"}),
    ],
)
def test_one_call_at_a_time(value, expected):
    assert expected == choice_of(value, parallel_tool_calls=False)


@pytest.mark.parametrize("value", [True, None])
def test_calls_side_by_side_are_the_default(value):
    assert choice_of(None, parallel_tool_calls=value) is None


def test_only_allowed_tools_are_offered():
    fields = tool_fields({"tools": TOOLS, "tool_choice": allowed("auto", "g")}, Notes())
    assert ["g"] == [offered["name"] for offered in fields["tools"]]


def test_chosen_tool_leaves_the_others_offered():
    assert 2 == len(tool_fields({"tools": TOOLS, "tool_choice": named("g")}, Notes())["tools"])


@pytest.mark.parametrize("tools", [None, []])
def test_without_tools_there_is_no_choice(tools):
    asked = {"tools": tools, "tool_choice": "required", "parallel_tool_calls": False}
    assert {} == tool_fields(asked, Notes())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"tools": {}}, "tools: Input should be a valid array"),
        ({"tools": ["x"]}, "tools.0: only function tools are supported"),
        ({"tools": [{"type": "custom"}]}, "tools.0: only function tools are supported"),
        ({"tools": [{"type": "function"}]}, "tools.0.function.name: Field required"),
        (
            {"tools": [tool("f", parameters="x")]},
            "tools.0.function.parameters: Input should be an object",
        ),
        (
            {"tools": TOOLS, "tool_choice": named("x")},
            "tool_choice: no tool of this name is in tools",
        ),
        (
            {"tools": TOOLS, "tool_choice": allowed("auto", "f", "x")},
            "tool_choice: no tool of this name is in tools",
        ),
        *(
            (
                {"tools": TOOLS, "tool_choice": value},
                "tool_choice: Input should be auto, required, none, or name a function",
            )
            for value in ("any", 5, {}, {"type": "custom"}, {"type": "allowed_tools"})
        ),
    ],
)
def test_malformed_tools_are_refused(asked, message):
    with pytest.raises(BadRequest) as caught:
        tool_fields(asked, Notes())
    assert message == caught.value.message
