"""R14 to R19 and the rest of sections 1.5 and 1.6: tools and the choice among them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.vocabulary import (
    DONE,
    SCHEMA,
    assistant,
    delta,
    finish,
    function,
    request,
    sse,
    tool,
    tool_delta,
    tool_result,
    tool_use,
    usage,
    user,
)

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
ABSENT = object()

DOLLAR: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "x",
    "properties": {
        "$schema": {"type": "string", "$comment": "y", "format": "uri"},
        "format": {"enum": [{"$schema": "data"}]},
    },
    "required": None,
}
SCHEMAS: dict[str, tuple[Any, dict[str, Any]]] = {
    "R14-keywords-and-names": (
        DOLLAR,
        {
            "type": "object",
            "properties": {
                "$schema": {"type": "string", "format": "uri"},
                "format": {"enum": [{"$schema": "data"}]},
            },
        },
    ),
    "R14-absent": (ABSENT, {"type": "object", "properties": {}}),
    "R14-null": (None, {"type": "object", "properties": {}}),
    "R14-required-without-property": (
        {"type": "object", "properties": {"a": {}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"a": {}}, "required": ["a"]},
    ),
    "R14-booleans": (
        {"type": "object", "properties": {"a": True, "b": {"items": False}}},
        {"type": "object", "properties": {"a": {}, "b": {"items": {"not": {}}}}},
    ),
    "R14-what-is-kept": (
        {
            "type": "object",
            "properties": {"a": {"anyOf": [{"const": 1}, {"pattern": "x", "minimum": 3}]}},
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"a": {"anyOf": [{"const": 1}, {"pattern": "x", "minimum": 3}]}},
            "additionalProperties": False,
        },
    ),
}


@pytest.mark.parametrize(("given", "expected"), SCHEMAS.values(), ids=SCHEMAS)
async def test_schema(serve: Serve, given: Any, expected: dict[str, Any]) -> None:
    rig = await serve()
    entry = {"name": "T", "description": "d", "input_schema": given}
    entry = {key: value for key, value in entry.items() if value is not ABSENT}
    await rig.ask(request(tools=[entry]))
    assert [function("T", "d", expected)] == rig.upstream.body["tools"]


EXTRAS = {
    "defer_loading": True,
    "cache_control": {"type": "ephemeral"},
    "input_examples": [{}],
    "allowed_callers": ["direct"],
    "eager_input_streaming": True,
    "strict": True,
}
TOOLS: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "R15-extras": (
        [{"type": "custom", "name": "T", "input_schema": SCHEMA, **EXTRAS}],
        [function("T")],
    ),
    "R15-null-type": ([{"type": None, "name": "T", "input_schema": SCHEMA}], [function("T")]),
    "R17-server-tool-among-others": ([SEARCH, tool("T")], [function("T", "T.")]),
    "R17-memory-among-others": (
        [{"type": "memory_20250818", "name": "memory"}, tool("T")],
        [function("T", "T.")],
    ),
    "1.5-same-name-twice": (
        [tool("T"), tool("T", description="other")],
        [function("T", "T.")],
    ),
    "1.5-order": (
        [tool("B"), tool("A"), tool("C")],
        [function("B", "B."), function("A", "A."), function("C", "C.")],
    ),
    "1.5-empty": ([], ABSENT),
}


@pytest.mark.parametrize(("given", "expected"), TOOLS.values(), ids=TOOLS)
async def test_tools(serve: Serve, given: list[dict[str, Any]], expected: Any) -> None:
    rig = await serve()
    await rig.ask(request(tools=given))
    assert expected == rig.upstream.body.get("tools", ABSENT)


async def test_bash_of_anthropics_type_becomes_a_function(serve: Serve) -> None:
    rig = await serve()
    await rig.ask(request(tools=[{"type": "bash_20250124", "name": "bash"}]))
    (sent,) = rig.upstream.body["tools"]
    assert "bash" == sent["function"]["name"]
    assert {"command", "restart"} == set(sent["function"]["parameters"]["properties"])


LONG = "mcp__server__" + "x" * 67  # 80 characters
SHORT = LONG[:55] + "_" + hashlib.sha256(LONG.encode()).hexdigest()[:8]
DOTTED = "a.b"
NAMES = {
    "R16-long": (LONG, SHORT),
    "R16-characters": (DOTTED, "a_b_" + hashlib.sha256(DOTTED.encode()).hexdigest()[:8]),
    "R16-valid": ("Bash", "Bash"),
}


@pytest.mark.parametrize(("original", "mapped"), NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_names_fit_upstream_and_come_back(
    serve: Serve, original: str, mapped: str, *, streams: bool
) -> None:
    answer = sse(tool_delta(0, "n", mapped, '{"a":1}'), finish("tool_calls"), usage(), DONE)
    rig = await serve(answer)
    turn = [assistant(tool_use("a", name=original)), user(tool_result("a", "1"))]
    choice = {"type": "tool", "name": original}
    body = request(user("hi"), *turn, tools=[tool(original)], tool_choice=choice, stream=streams)
    got = await rig.ask(body)
    sent = rig.upstream.body
    assert len(mapped) <= 64
    assert mapped == sent["tools"][0]["function"]["name"]
    assert mapped == sent["tool_choice"]["function"]["name"]
    assert mapped == sent["messages"][1]["tool_calls"][0]["function"]["name"]
    assert [original] == [block["name"] for block in got.content]


@pytest.mark.parametrize(
    ("answered", "expected"), [("bash", "Bash"), ("BASH", "Bash"), ("Bash", "Bash"), ("no", "no")]
)
async def test_name_in_the_wrong_case_is_found(serve: Serve, answered: str, expected: str) -> None:
    rig = await serve(sse(tool_delta(0, "n", answered, "{}"), finish("tool_calls"), DONE))
    got = await rig.ask(request(tools=[tool("Bash"), tool("Read")]))
    assert [expected] == [block["name"] for block in got.content]


NAMED = {"type": "function", "function": {"name": "T"}}
CHOICES: dict[str, tuple[Any, list[dict[str, Any]], Any]] = {
    "R18-any": ({"type": "any"}, [tool("T")], "required"),
    "R18-tool": ({"type": "tool", "name": "T"}, [tool("T")], NAMED),
    "R18-no-tools": ({"type": "any"}, [], ABSENT),
    "R18-auto": ({"type": "auto"}, [tool("T")], ABSENT),
    "R18-absent": (None, [tool("T")], ABSENT),
    "R18-none": ({"type": "none"}, [tool("T")], "none"),
}


@pytest.mark.parametrize(("given", "tools", "expected"), CHOICES.values(), ids=CHOICES)
async def test_tool_choice(
    serve: Serve, given: Any, tools: list[dict[str, Any]], expected: Any
) -> None:
    rig = await serve()
    await rig.ask(request(tools=tools, tool_choice=given))
    assert expected == rig.upstream.body.get("tool_choice", ABSENT)
    assert bool(tools) == ("tools" in rig.upstream.body)


TWO = [tool("S"), tool("T")]
FORCED = {"type": "tool", "name": "T"}
FORMS: dict[str, tuple[str, dict[str, Any], Any, list[str]]] = {
    "string-tool": ("string", FORCED, "required", ["T"]),
    "string-any": ("string", {"type": "any"}, "required", ["S", "T"]),
    "absent-tool": ("absent", FORCED, ABSENT, ["T"]),
    "absent-any": ("absent", {"type": "any"}, ABSENT, ["S", "T"]),
}


@pytest.mark.parametrize(("form", "given", "choice", "names"), FORMS.values(), ids=FORMS)
async def test_tool_choice_of_backends_that_know_less(
    serve: Serve, form: str, given: dict[str, Any], choice: Any, names: list[str]
) -> None:
    rig = await serve(quirks={"tool_choice": form})
    await rig.ask(request(tools=TWO, tool_choice=given))
    assert choice == rig.upstream.body.get("tool_choice", ABSENT)
    assert names == [entry["function"]["name"] for entry in rig.upstream.body["tools"]]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "R17-only-a-server-tool": (
        {"tools": [SEARCH]},
        "Server tool 'web_search_20250305' is not available on this backend",
    ),
    "R17-server-tool-is-forced": (
        {"tools": [SEARCH, tool("T")], "tool_choice": {"type": "tool", "name": "web_search"}},
        "Server tool 'web_search_20250305' is not available on this backend",
    ),
    "R18-unknown-tool": ({"tools": [tool("T")], "tool_choice": {"type": "tool", "name": "X"}}, "X"),
    "1.1-mcp-servers": (
        {"mcp_servers": [{"type": "url", "url": "http://x.test", "name": "x"}]},
        "mcp_servers is not supported by this backend",
    ),
}


@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED)
async def test_refused_here(serve: Serve, fields: dict[str, Any], message: str) -> None:
    rig = await serve()
    answer = await rig.ask(request(**fields))
    assert (400, "invalid_request_error") == answer.error[:2]
    assert message in answer.error[2]
    assert [] == rig.upstream.requests


PARALLEL: dict[str, tuple[dict[str, Any], bool, list[dict[str, Any]], Any]] = {
    "R19-flag-is-unknown": ({}, True, [tool("T")], ABSENT),
    "R19-flag-is-known": ({"parallel_flag": True}, True, [tool("T")], False),
    "R19-not-asked-for": ({"parallel_flag": True}, False, [tool("T")], ABSENT),
    "R19-no-tools": ({"parallel_flag": True}, True, [], ABSENT),
}


@pytest.mark.parametrize(
    ("quirks", "disables", "tools", "expected"), PARALLEL.values(), ids=PARALLEL
)
async def test_parallel_calls(
    serve: Serve,
    quirks: dict[str, Any],
    tools: list[dict[str, Any]],
    expected: Any,
    *,
    disables: bool,
) -> None:
    rig = await serve(quirks=quirks)
    choice = {"type": "auto", "disable_parallel_tool_use": disables}
    await rig.ask(request(tools=tools, tool_choice=choice))
    assert expected is rig.upstream.body.get("parallel_tool_calls", ABSENT)


async def test_text_beside_a_call_keeps_its_place(serve: Serve) -> None:
    rig = await serve(
        sse(delta(content="ok"), tool_delta(0, "n", "T", "{}"), finish("tool_calls"), DONE)
    )
    got = await rig.ask(request(tools=[tool("T")], stream=True))
    assert ["text", "tool_use"] == [block["type"] for block in got.content]
