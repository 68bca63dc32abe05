"""Strategies for requests made from the SDK's own request types, field by field.

A new block or option of the SDK is in the tests as soon as the SDK is updated, without anybody
having to know of it.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from functools import cache
from os import PathLike
from typing import IO, Any, Literal

import typing_extensions
from hypothesis import strategies as st
from pydantic import BaseModel

# `TypedDict` lives in both modules, and so do its marks.
_REQUIRED = {typing.Required, typing_extensions.Required}
_NOT_REQUIRED = {typing.NotRequired, typing_extensions.NotRequired}
_MARKS = {*_REQUIRED, *_NOT_REQUIRED, typing.Annotated}
_LISTS = {list, collections.abc.Iterable, collections.abc.Sequence}
_UNIONS = {typing.Union, types.UnionType}

texts = st.sampled_from(["hi", "", " \n", "é\u2028", "x\0y", "data", "https://h.test/a.png"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
# Fields whose values must fit each other for a request to say anything.
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(["toolu_1", "toolu_2", "call_0", "functions.Bash:0"]),
    "tool_use_id": st.sampled_from(["toolu_1", "toolu_2", "call_0", "srvtoolu_1"]),
    "name": st.sampled_from(["Bash", "Read", "mcp__a.b/c", "n" * 80]),
    "tool_name": st.sampled_from(["Bash", "Read"]),
    "data": st.sampled_from(["iVBORw0KGgo=", "JVBERi0=", "plain words"]),
    "max_tokens": st.integers(1, 64000),
    "model": st.sampled_from(["claude-opus-5-5", "claude-sonnet-4-6[1m]"]),
}
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(0, 9000),
    float: st.floats(0, 1),
    bool: st.booleans(),
    type(None): st.none(),
    object: json_values,
    Any: json_values,
}


@cache
def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """JSON values of an annotation; nothing for the files and models that stand beside them."""
    if kind in PLAIN:
        return PLAIN[kind]
    if typing_extensions.is_typeddict(kind):
        return st.deferred(lambda: _objects_of(kind))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in _MARKS:
        return values_of(arguments[0])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in _UNIONS:
        return st.one_of([values_of(each) for each in arguments])
    if origin is dict:
        return st.dictionaries(texts, values_of(arguments[1]), max_size=2)
    if origin in _LISTS or getattr(origin, "__name__", "") == "SequenceNotStr":
        return st.lists(values_of(arguments[0]), max_size=3)
    assert issubclass(origin or kind, BaseModel | IO | PathLike), kind
    return st.nothing()


def _objects_of(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a `TypedDict`: its required fields, and any of the others."""
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    required = {name for name, hint in hints.items() if _is_required(kind, hint)}
    fields = {name: _field(name, hint) for name, hint in hints.items()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required},
        optional={name: fields[name] for name in fields if name not in required},
    )


def _is_required(kind: Any, hint: Any) -> bool:
    """Read from the mark itself: `__required_keys__` does not see marks in deferred annotations."""
    mark = typing.get_origin(hint)
    return mark in _REQUIRED or (kind.__total__ and mark not in _NOT_REQUIRED)


def _field(name: str, hint: Any) -> st.SearchStrategy[Any]:
    while typing.get_origin(hint) in _MARKS:
        hint = typing.get_args(hint)[0]
    is_free = {hint, *typing.get_args(hint)} & {str, int, float}
    return FIELDS[name] if name in FIELDS and is_free else values_of(hint)
