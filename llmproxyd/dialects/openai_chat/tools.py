"""Tool definitions and tool_choice (translation spec, sections 1.5 to 1.7).

A client sends the same dozens of tools on every turn, half of a request's bytes, so the translated
list is remembered by the JSON it came from. What is remembered is a pure function of that JSON
and a few flags; which of the tools go up, and in which order, is decided per request.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from llmproxyd.dialects.openai_chat.scope import Scope, text_of
from llmproxyd.dialects.openai_chat.tool_names import upstream_name
from llmproxyd.dialects.openai_chat.typed_tools import TYPED_TOOLS
from llmproxyd.errors import BadRequest, NeedsServerTool
from llmproxyd.spi import Quirks
from llmproxyd.wire.tool_schema import Profile, Schema, fits_strict, tool_parameters

SEARCH_TOOL = "ToolSearch"
PLACEHOLDER_TOOL = "DeferredToolPlaceholder"

# One list is some 100 kB with its key; sessions, sub-agents and backends each have their own.
_REMEMBERED = 32

_CUSTOM = ("", "custom")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Flags(msgspec.Struct, frozen=True):
    """What the translation of a tool depends on besides the tool."""

    profile: Profile
    is_strict: bool
    description_max: int | None


class _Tool(msgspec.Struct, frozen=True):
    """One tool that can go up."""

    name: str
    is_deferred: bool
    body: msgspec.Raw


class _Toolbox(msgspec.Struct, frozen=True):
    """A request's `tools`, translated.

    Attributes:
        tools: in the client's order, names unique, without the placeholder.
        foreign: types of tools that only Anthropic's servers or models know, by name.
        notes: what was dropped, as event and subject.
    """

    tools: tuple[_Tool, ...] = ()
    foreign: dict[str, str] = {}
    notes: tuple[tuple[str, str], ...] = ()


class ToolPlan(msgspec.Struct, frozen=True):
    """What of a request concerns tools.

    Attributes:
        fields: `tools`, `tool_choice` and `parallel_tool_calls`, as far as they are sent.
        names: upstream name to the client's, where they differ.
        client_names: every tool name of the client: tools and history.
    """

    fields: dict[str, Any]
    names: dict[str, str]
    client_names: tuple[str, ...]


def plan_tools(body: dict[str, Any], history_names: Iterable[str], scope: Scope) -> ToolPlan:
    """Choose and order the tools of a request; call it after its messages were translated.

    Args:
        body: the decoded request.
        history_names: the client's names of all tools that were called so far.
        scope: the translation; its `loaded` names deferred tools that a search has found.

    Raises:
        BadRequest: only tools that can not be translated, or a choice that can not be met.
    """
    toolbox = _toolbox(body.get("tools"), scope.quirks)
    for event, subject in toolbox.notes:
        scope.note(event, subject)
    choice = _choice(body.get("tool_choice"))
    forced = text_of(choice.get("name")) if choice.get("type") == "tool" else ""
    _check(toolbox, forced)
    sent = _visible(toolbox.tools, scope.loaded, forced)
    history = tuple(dict.fromkeys(history_names))
    fields = _fields(sent, choice, forced, scope)
    if not sent and history and scope.quirks.tools_required_with_history:
        fields = {"tools": [_stub(name) for name in history]}
        if scope.quirks.tool_choice != "absent":
            fields["tool_choice"] = "none"
    client_names = tuple(dict.fromkeys([*(tool.name for tool in toolbox.tools), *history]))
    upstream = ((upstream_name(name), name) for name in client_names)
    names = {there: name for there, name in upstream if there != name}
    return ToolPlan(fields, names, client_names)


def _toolbox(tools: Any, quirks: Quirks) -> _Toolbox:
    if not isinstance(tools, list) or not tools:
        return _Toolbox()
    flags = _Flags(quirks.schema_profile, quirks.strict_tools is True, quirks.tool_description_max)
    return _translated(_encode(tools), flags)


@lru_cache(maxsize=_REMEMBERED)
def _translated(tools: bytes, flags: _Flags) -> _Toolbox:
    """Translate a list of tools, given as JSON."""
    functions: dict[str, dict[str, Any]] = {}
    deferred: set[str] = set()
    foreign: dict[str, str] = {}
    notes: list[tuple[str, str]] = []
    for tool in _decode(tools):
        name = text_of(tool.get("name")) if isinstance(tool, dict) else ""
        function = _function(tool, name, flags) if name else None
        if name == PLACEHOLDER_TOOL:
            continue
        if name in functions:
            notes.append(("duplicate_tool", name))
        elif function is not None:
            functions[name] = function
            if tool.get("defer_loading") is True:
                deferred.add(name)
        else:
            kind = text_of(tool.get("type")) if isinstance(tool, dict) else ""
            notes.append(("dropped_tool", kind or "untyped"))
            if kind not in _CUSTOM:
                foreign[name] = kind
    if flags.is_strict and all(fits_strict(each["parameters"]) for each in functions.values()):
        for function in functions.values():
            function["strict"] = True
    rows = (_Tool(name, name in deferred, _raw(body)) for name, body in functions.items())
    return _Toolbox(tuple(rows), foreign, tuple(notes))


def _raw(function: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(_encode({"type": "function", "function": function}))


def _function(tool: dict[str, Any], name: str, flags: _Flags) -> dict[str, Any] | None:
    """The `function` object of a tool; None for one that has no schema to send."""
    kind = text_of(tool.get("type"))
    if kind in _CUSTOM or isinstance(tool.get("input_schema"), dict):
        description, schema = tool.get("description"), tool.get("input_schema")
    elif kind.rpartition("_")[0] in TYPED_TOOLS:
        description, schema = TYPED_TOOLS[kind.rpartition("_")[0]]
    else:
        return None
    parameters: Schema = tool_parameters(schema, flags.profile)
    return {
        "name": upstream_name(name),
        "description": text_of(description)[: flags.description_max],
        "parameters": parameters,
    }


def _choice(given: Any) -> dict[str, Any]:
    """`tool_choice` as an object; a bare word is taken for its type."""
    if isinstance(given, dict):
        return given
    return {"type": given} if isinstance(given, str) else {}


def _check(toolbox: _Toolbox, forced: str) -> None:
    """Refuse what would be answered without the tool that it is about."""
    foreign, names = toolbox.foreign, {tool.name for tool in toolbox.tools}
    missing = foreign.get(forced) if forced else None
    if missing is None and not names:
        missing = next(iter(foreign.values()), None)
    if missing is not None:
        raise NeedsServerTool(f"Server tool '{missing}' is not available on this backend")
    if forced and names and forced not in names:
        raise BadRequest(f"tool_choice: tool '{forced}' is not in tools")


def _visible(tools: tuple[_Tool, ...], loaded: Iterable[str], forced: str) -> list[_Tool]:
    """The tools that the model gets to see.

    With a search tool, a deferred tool waits until a search has found it. Loaded ones come last,
    in the order in which they were found, so that the list before them stays as it was.
    """
    if all(tool.name != SEARCH_TOOL for tool in tools):
        return list(tools)
    waiting = {tool.name: tool for tool in tools if tool.is_deferred}
    found = dict.fromkeys([*loaded, forced])
    return [
        *(tool for tool in tools if not tool.is_deferred),
        *(waiting[name] for name in found if name in waiting),
    ]


def _fields(sent: list[_Tool], choice: dict[str, Any], forced: str, scope: Scope) -> dict[str, Any]:
    """`tools`, `tool_choice` and `parallel_tool_calls`; empty without tools."""
    support = scope.quirks.tool_choice
    if choice.get("type") == "none" and support == "absent":
        return {}
    if forced and support != "full":
        sent = [tool for tool in sent if tool.name == forced]
    if not sent:
        return {}
    fields: dict[str, Any] = {"tools": [tool.body for tool in sent]}
    wanted = _wanted(choice, forced)
    if isinstance(wanted, dict) and support == "string":
        wanted = "required"
    if wanted is not None and support == "absent":
        scope.note("dropped", "tool_choice")
    elif wanted is not None:
        fields["tool_choice"] = wanted
    if choice.get("disable_parallel_tool_use") is True and scope.quirks.parallel_flag:
        fields["parallel_tool_calls"] = False
    return fields


def _wanted(choice: dict[str, Any], forced: str) -> Any:
    """`tool_choice` of a backend that knows all its forms; None to leave it out (section 1.6)."""
    if forced:
        return {"type": "function", "function": {"name": upstream_name(forced)}}
    kind = choice.get("type")
    return {"any": "required", "none": "none"}.get(kind) if isinstance(kind, str) else None


def _stub(name: str) -> dict[str, Any]:
    """A tool that history calls and the request no longer has (section 1.7)."""
    function = {
        "name": upstream_name(name),
        "description": "",
        "parameters": {"type": "object", "properties": {}},
    }
    return {"type": "function", "function": function}
