"""Function tools and the choice among them."""

from __future__ import annotations

from typing import Any, Final

from llmproxyd.errors import BadRequest
from llmproxyd.reverse.fields import Block, Notes, object_of, text_of

_NO_PARAMETERS: Final = {"type": "object", "properties": {}}
_MODES: Final = {"auto": "auto", "required": "any", "none": "none"}


def tool_fields(asked: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """`tools` and `tool_choice`; nothing at all when no tools are offered.

    Raises:
        BadRequest: a tool is no function tool, or the choice names one that is not there.
    """
    tools = _tools(asked.get("tools"), notes)
    if not tools:
        return {}
    choice, allowed = _choice(asked.get("tool_choice"))
    names = {tool["name"] for tool in tools}
    for name in allowed:
        if name not in names:
            raise BadRequest("tool_choice: no tool of this name is in tools")
    if allowed and choice.get("type") != "tool":
        tools = [tool for tool in tools if tool["name"] in allowed]
    if asked.get("parallel_tool_calls") is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return {"tools": tools, "tool_choice": choice} if choice else {"tools": tools}


def _tools(value: Any, notes: Notes) -> list[Block]:
    """The tools in their order; of equal names the first one."""
    if not isinstance(value, list | None):
        raise BadRequest("tools: Input should be a valid array")
    tools: dict[str, Block] = {}
    for index, tool in enumerate(value or []):
        translated = _tool(tool, f"tools.{index}", notes)
        if translated["name"] in tools:
            notes.add("duplicate_tool")
        else:
            tools[translated["name"]] = translated
    return list(tools.values())


def _tool(tool: Any, place: str, notes: Notes) -> Block:
    if not isinstance(tool, dict) or tool.get("type", "function") != "function":
        raise BadRequest(f"{place}: only function tools are supported")
    function = object_of(tool.get("function"))
    name = text_of(function.get("name"))
    if not name:
        raise BadRequest(f"{place}.function.name: Field required")
    if function.get("strict"):
        notes.add("dropped", "strict")
    description = text_of(function.get("description"))
    described = {"description": description} if description else {}
    schema = _schema(function.get("parameters"), place)
    return {"name": name, **described, "input_schema": schema}


def _schema(parameters: Any, place: str) -> dict[str, Any]:
    if parameters is None:
        return _NO_PARAMETERS
    if not isinstance(parameters, dict):
        raise BadRequest(f"{place}.function.parameters: Input should be an object")
    return parameters if parameters.get("type") else parameters | {"type": "object"}


def _choice(value: Any) -> tuple[dict[str, Any], list[str]]:
    """Messages' `tool_choice`, empty for none, and the names that the client chose."""
    if value is None:
        return {}, []
    if isinstance(value, str) and value in _MODES:
        return {"type": _MODES[value]}, []
    chosen = object_of(value)
    if chosen.get("type") == "function":
        name = _function_name(chosen)
        return {"type": "tool", "name": name}, [name]
    allowed = object_of(chosen.get("allowed_tools"))
    mode, listed = text_of(allowed.get("mode")), allowed.get("tools")
    if chosen.get("type") == "allowed_tools" and mode in _MODES and isinstance(listed, list):
        return {"type": _MODES[mode]}, [_function_name(tool) for tool in listed]
    raise BadRequest("tool_choice: Input should be auto, required, none, or name a function")


def _function_name(value: Any) -> str:
    return text_of(object_of(object_of(value).get("function")).get("name"))
