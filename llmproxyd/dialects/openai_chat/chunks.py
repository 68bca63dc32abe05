"""One chunk of a Chat Completions answer, decoded in one typed pass; also a whole completion.

Servers differ in nearly every field, so nothing here is strict: only the containers on the way
to the text are typed, their leaves are `Any`. A chunk whose containers have wrong types, lone
surrogates or broken UTF-8 is decoded again by the slow path, which keeps what can be used.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec


class Function(msgspec.Struct, gc=False):
    """`function` of a tool call, or the legacy `function_call`."""

    name: Any = None
    arguments: Any = None


class ToolDelta(msgspec.Struct, gc=False):
    """A piece of one tool call, or a whole one."""

    index: Any = None
    id: Any = None
    function: Function | None = None


class Delta(msgspec.Struct, gc=False):
    """What a chunk adds; `message` of a completion has the same fields."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking_blocks: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: list[ToolDelta] | None = None
    function_call: Function | None = None


class Choice(msgspec.Struct, gc=False):
    """One alternative; only index 0 is ever read."""

    index: Any = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: Any = None
    stop_reason: Any = None
    usage: Any = None
    error: Any = None


class Chunk(msgspec.Struct, gc=False):
    """One `chat.completion.chunk`, or one `chat.completion`."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None

    def first_choice(self) -> Choice | None:
        """The choice with index 0, or without any."""
        for choice in self.choices or ():
            if choice.index in _FIRST:
                return choice
        return None


_FIRST = (0, None, "0")
_decode = msgspec.json.Decoder(Chunk).decode

# Containers inside containers, for the slow path.
_STRUCTS: dict[type, dict[str, type]] = {
    Choice: {"delta": Delta, "message": Delta},
    Delta: {"function_call": Function},
    ToolDelta: {"function": Function},
}
_LISTS: dict[type, dict[str, type]] = {
    Chunk: {"choices": Choice},
    Delta: {"tool_calls": ToolDelta},
}

_T = TypeVar("_T", bound=msgspec.Struct)


def decode_chunk(data: bytes) -> Chunk:
    """Decode one chunk.

    Raises:
        ValueError: not a JSON object.
    """
    try:
        return _decode(data)
    except (ValueError, RecursionError):
        return _decode_tolerantly(data)


def text_of(content: Any) -> str:
    """`content` as text: a string, or the text parts of an array."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(
        part["text"]
        for part in content
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def _decode_tolerantly(data: bytes) -> Chunk:
    try:
        # The standard library accepts lone surrogates, NaN and numbers out of range.
        value = json.loads(data.decode("utf-8", "replace"))
        mended = _mend(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    chunk = _build(Chunk, mended)
    if chunk is None:
        raise ValueError("not a JSON object")
    return chunk


def _mend(value: Any) -> Any:
    """`value` with lone surrogates as U+FFFD, so that it can be encoded again."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_mend(item) for item in value]
        case dict():
            return {_mend(key): _mend(item) for key, item in value.items()}
        case _:
            return value


def _build(kind: type[_T], value: Any) -> _T | None:
    """`value` as a `kind`; parts of a wrong type are left out."""
    if not isinstance(value, dict):
        return None
    fields = {name: value.get(name) for name in kind.__struct_fields__}
    for name, part in _STRUCTS.get(kind, {}).items():
        fields[name] = _build(part, fields[name])
    for name, part in _LISTS.get(kind, {}).items():
        fields[name] = _build_list(part, fields[name])
    return kind(**fields)


def _build_list(kind: type[_T], value: Any) -> list[_T] | None:
    """A list of `kind`; a lone object counts as a list of one."""
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    return [built for item in items if (built := _build(kind, item)) is not None]
