"""JSON Schema of tools, for servers that read less of it than Anthropic does.

Source: translation spec, section 1.5. Rules of this file:

1. Only schemas are touched. A property may be called `$schema`, `format` or `type`, and data
   (`default`, `enum`, `const`, `examples`) may look like a schema: both survive, because the
   walk follows a table of the places where a schema can stand and copies everything else.
2. Nothing is changed in place, and key order is kept: prompt caches compare bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

Profile = Literal["full", "plain", "llamacpp"]
Schema = dict[str, Any]

# Where schemas stand inside a schema: by name, in a list, or alone.
_IN_MAPS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_IN_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_ALONE = frozenset({"items", "not", "if", "then", "else", "contains", "propertyNames"})
# Here a boolean is a plain switch that every server reads, so it stays one.
_SWITCHES = frozenset(
    {"additionalProperties", "additionalItems", "unevaluatedProperties", "unevaluatedItems"}
)

_META = frozenset({"$schema", "$id", "$comment"})
_WEAK = frozenset(
    {
        *("format", "pattern", "propertyNames", "multipleOf", "if", "then", "else"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"),
        *("minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"),
    }
)
_DROPPED: dict[Profile, frozenset[str]] = {
    "full": _META,
    "llamacpp": _META,
    "plain": _META | _WEAK | {"$defs", "definitions"},
}

# Grammars grow with these bounds; the number is llama.cpp's own practical ceiling.
_GRAMMAR_BOUND_MAX = 1000
_BOUNDS = frozenset({"maxLength", "maxItems"})

_INLINED_MAX = 256  # references put in place per schema; nested ones can double at each level

# Cerebras' strict mode (translation spec, section 1.5).
_STRICT_DEPTH_MAX = 10
_STRICT_CHARS_MAX = 5000
_STRICT_FORBIDDEN = frozenset({"pattern", "format", "minItems", "maxItems"})


def tool_parameters(schema: Any, profile: Profile = "full") -> Schema:
    """The `parameters` of a function from a tool's `input_schema`, whatever was sent there.

    The result always has `type` and a `properties` object; `required` names properties only.
    """
    cleaned = clean_schema(schema, profile) if isinstance(schema, dict) else {}
    given = {key: value for key, value in cleaned.items() if value is not None}
    parameters: Schema = {"type": "object", "properties": {}} | given
    if not isinstance(parameters["properties"], dict):
        parameters["properties"] = {}
    required = parameters.pop("required", None)
    if isinstance(required, list):
        known = [name for name in required if _is_property(name, parameters)]
        if known:
            parameters["required"] = known
    return parameters


def _is_property(name: Any, parameters: Schema) -> bool:
    return isinstance(name, str) and name in parameters["properties"]


def clean_schema(schema: Any, profile: Profile = "full") -> Schema:
    """A schema at any level, without what weak servers choke on (section 1.5).

    Boolean schemas become objects: Go servers can not decode them.
    """
    if profile == "plain":
        schema = _Inliner(schema).inline(schema)
    return _clean(schema, profile)


def _clean(schema: Any, profile: Profile) -> Schema:
    if not isinstance(schema, dict):
        return {"not": {}} if schema is False else {}
    kept = {key: value for key, value in schema.items() if _is_kept(key, value, profile)}
    if profile == "plain":
        kept = _plain(kept)
    return _with_children(kept, lambda child: _clean(child, profile))


def _is_kept(key: str, value: Any, profile: Profile) -> bool:
    if key in _DROPPED[profile] or (key == "required" and value is None):
        return False
    if profile != "llamacpp":
        return True
    if key == "pattern":
        return isinstance(value, str) and value.startswith("^") and value.endswith("$")
    is_number = isinstance(value, (int, float))
    return not (key in _BOUNDS and is_number and value > _GRAMMAR_BOUND_MAX)


def _plain(schema: Schema) -> Schema:
    """`const` as an `enum` of one, and one type instead of several."""
    out = dict(schema)
    if "const" in out:
        out.setdefault("enum", [out["const"]])
        del out["const"]
    kinds = out.get("type")
    if isinstance(kinds, list):
        out["type"] = next((kind for kind in kinds if kind != "null"), "null")
    return out


def _with_children(schema: Schema, visit: Callable[[Any], Any]) -> Schema:
    """A copy of `schema` with `visit` applied to every schema directly inside it."""
    return {key: _visit(key, value, visit) for key, value in schema.items()}


def _visit(key: str, value: Any, visit: Callable[[Any], Any]) -> Any:
    match value:
        case dict() if key in _IN_MAPS:
            return {
                # `dependencies` may also hold lists of property names
                name: child if isinstance(child, list) else visit(child)
                for name, child in value.items()
            }
        case list() if key in _IN_LISTS:
            return [visit(child) for child in value]
        case dict() if key in _ALONE or key in _SWITCHES:
            return visit(value)
        case bool() if key in _ALONE:
            return visit(value)
        case _:
            return value


class _Inliner:
    """Puts what local references point to in their place.

    Attributes:
        is_recursive: a reference led back into itself; it was replaced by the empty schema.
    """

    def __init__(self, root: Any) -> None:
        self.is_recursive = False
        self._root = root
        self._open: list[str] = []
        self._left = _INLINED_MAX

    def inline(self, schema: Any) -> Any:
        """`schema` without `$ref` and without the definitions they pointed to."""
        if not isinstance(schema, dict):
            return schema
        kept = {k: v for k, v in schema.items() if k not in ("$ref", "$defs", "definitions")}
        siblings = _with_children(kept, self.inline)
        pointer = schema.get("$ref")
        if not isinstance(pointer, str):
            return siblings
        target = self._resolved(pointer)
        return {**target, **siblings} if isinstance(target, dict) else siblings or target

    def _resolved(self, pointer: str) -> Any:
        if pointer in self._open:
            self.is_recursive = True
            return {}
        if self._left <= 0:
            return {}
        self._left -= 1
        self._open.append(pointer)
        target = self.inline(_follow(self._root, pointer))
        self._open.pop()
        return target


def _follow(root: Any, pointer: str) -> Any:
    """What a local JSON pointer (`#/$defs/Name`) points to; the empty schema if nothing."""
    place = root
    steps = pointer.split("/")
    if steps[0] != "#":
        return {}
    for step in steps[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(place, dict) or key not in place:
            return {}
        place = place[key]
    return place


def fits_strict(parameters: Schema) -> bool:
    """True when Cerebras takes `parameters` with `strict: true`.

    Every object closed by `additionalProperties: false`, at most 10 levels and 5 000 characters,
    no patterns, formats, item counts or recursion.
    """
    if len(msgspec.json.encode(parameters)) > _STRICT_CHARS_MAX:
        return False
    inliner = _Inliner(parameters)
    whole = inliner.inline(parameters)
    return not inliner.is_recursive and _is_strict(whole, 1)


def _is_strict(schema: Any, depth: int) -> bool:
    if not isinstance(schema, dict):
        return True
    if depth > _STRICT_DEPTH_MAX or not _STRICT_FORBIDDEN.isdisjoint(schema):
        return False
    is_object = schema.get("type") == "object" or "properties" in schema
    if is_object and schema.get("additionalProperties") is not False:
        return False
    children: list[Any] = []
    _with_children(schema, children.append)
    return all(_is_strict(child, depth + 1) for child in children)
