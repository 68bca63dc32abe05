"""A parsed TOML tree to the structs of `schema.py`, driven by their types.

All problems are collected. What can not be read keeps its default, so that later checks still
find what else is wrong; an entry without a mandatory key is left out. No message holds a value,
since any value may turn out to be a key in the wrong place.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
from msgspec import UNSET, inspect

from llmproxyd.config.places import KeyPath, Places
from llmproxyd.config.schema import Config, SecretRef
from llmproxyd.config.suggest import did_you_mean
from llmproxyd.config.units import DURATION_FORMS, SIZE_FORMS, duration_s, size_bytes
from llmproxyd.errors import Problem

KEY_FORMS = 'write "KEY", { env = "NAME" } or { file = "PATH" }'


def decode_config(tree: Mapping[str, object], places: Places) -> tuple[Config, list[Problem]]:
    """The configuration that `tree` describes, and everything that is wrong with it."""
    decoder = _Decoder(places)
    return cast(Config, decoder.read(_CONFIG, tree, ())), decoder.problems


class _SecretTable(msgspec.Struct):
    """The table form of a `SecretRef`; a literal is written as a plain string only."""

    env: str | None = None
    file: str | None = None


class _Decoder:
    """Reads one value after the other. Each reader gives it, or UNSET after noting a problem.

    A reader takes what the schema wants, what tomllib found, and the path of it.
    """

    def __init__(self, places: Places) -> None:
        self.problems: list[Problem] = []
        self._places = places

    def read(self, kind: inspect.Type, raw: object, path: KeyPath) -> object:
        return _READERS[type(kind)](self, kind, raw, path)

    def wrong(self, path: KeyPath, message: str, hint: str = "") -> object:
        self.problems.append(self._places.problem(path, message, hint))
        return UNSET

    def wrong_type(self, path: KeyPath, wanted: str, raw: object, hint: str = "") -> object:
        found = _TYPE_NAMES.get(type(raw), "a date or time")
        return self.wrong(path, f"expected {wanted}, got {found}", hint)

    def struct(self, kind: inspect.StructType, raw: object, path: KeyPath) -> object:
        if not isinstance(raw, Mapping):
            return self.wrong_type(path, "a table", raw)
        fields = {field.encode_name: field for field in kind.fields}
        for key in raw:
            if key not in fields:
                self.wrong((*path, key), "unknown key", _unknown_key_hint(key, fields))
        values = {}
        for key, field in fields.items():
            if key in raw:
                values[field.name] = self.read(field.type, raw[key], (*path, key))
            elif field.required:
                values[field.name] = self.wrong((*path, key), "is missing", f"add {key} = …")
        known = {name: value for name, value in values.items() if value is not UNSET}
        is_whole = all(field.name in known for field in kind.fields if field.required)
        return kind.cls(**known) if is_whole else UNSET

    def mapping(self, kind: inspect.DictType, raw: object, path: KeyPath) -> object:
        if not isinstance(raw, Mapping):
            return self.wrong_type(path, "a table", raw)
        items = {key: self.read(kind.value_type, raw[key], (*path, key)) for key in raw}
        return {key: item for key, item in items.items() if item is not UNSET}

    def array(self, kind: inspect.VarTupleType, raw: object, path: KeyPath) -> object:
        if not isinstance(raw, list):
            return self.wrong_type(path, "an array", raw)
        items = [self.read(kind.item_type, item, (*path, n)) for n, item in enumerate(raw)]
        return tuple(item for item in items if item is not UNSET)

    def optional(self, kind: inspect.UnionType, raw: object, path: KeyPath) -> object:
        return self.read(kind.types[0], raw, path)  # the other one is None, which TOML lacks

    def anything(self, kind: inspect.AnyType, raw: object, path: KeyPath) -> object:
        return raw

    def choice(self, kind: inspect.LiteralType, raw: object, path: KeyPath) -> object:
        if not isinstance(raw, str):
            return self.wrong_type(path, "a string", raw)
        if raw not in kind.values:
            return self.wrong(path, "unknown value", did_you_mean(raw, map(str, kind.values)))
        return raw

    def text(self, kind: inspect.StrType, raw: object, path: KeyPath) -> object:
        if not isinstance(raw, str):
            return self.wrong_type(path, "a string", raw)
        return raw if len(raw) >= (kind.min_length or 0) else self.wrong(path, "must not be empty")

    def flag(self, kind: inspect.BoolType, raw: object, path: KeyPath) -> object:
        return raw if isinstance(raw, bool) else self.wrong_type(path, "true or false", raw)

    def whole(self, kind: inspect.IntType, raw: object, path: KeyPath) -> object:
        if not isinstance(raw, int) or isinstance(raw, bool):
            return self.wrong_type(path, "a whole number", raw)
        for bound, holds, sentence in (
            (kind.ge, operator.ge, "at least"),
            (kind.gt, operator.gt, "more than"),
            (kind.le, operator.le, "at most"),
        ):
            if bound is not None and not holds(raw, bound):
                return self.wrong(path, f"must be {sentence} {bound}")
        return raw

    def written(self, kind: inspect.Metadata, raw: object, path: KeyPath) -> object:
        return _WRITTEN_READERS[(kind.extra or {})["written"]](self, kind.type, raw, path)

    def duration(self, kind: inspect.FloatType, raw: object, path: KeyPath) -> object:
        seconds = duration_s(raw)
        return self.wrong(path, "not a duration", DURATION_FORMS) if seconds is None else seconds

    def size(self, kind: inspect.IntType, raw: object, path: KeyPath) -> object:
        size = size_bytes(raw)
        if size is None:
            return self.wrong(path, "not a size", SIZE_FORMS)
        return self.whole(kind, size, path)

    def provider(self, kind: inspect.StrType, raw: object, path: KeyPath) -> object:
        """A provider's kind: `Self_Hosted` and `self-hosted` are one."""
        folded = raw.strip().lower().replace("_", "-") if isinstance(raw, str) else raw
        return self.text(kind, folded, path)

    def secret(self, kind: inspect.StructType, raw: object, path: KeyPath) -> object:
        if isinstance(raw, str):
            is_empty = not raw.strip()
            return self.wrong(path, "is empty", KEY_FORMS) if is_empty else SecretRef(literal=raw)
        if not isinstance(raw, Mapping):
            return self.wrong_type(path, "a string or a table", raw, KEY_FORMS)
        known_problems = len(self.problems)
        table = cast(_SecretTable, self.read(_SECRET_TABLE, raw, path))
        if len(self.problems) > known_problems:
            return UNSET
        if bool(table.env) == bool(table.file):
            return self.wrong(path, "needs exactly one of env and file", KEY_FORMS)
        return SecretRef(env=table.env or None, file=table.file or None)


def _unknown_key_hint(key: str, fields: Mapping[str, inspect.Field]) -> str:
    for name, field in fields.items():
        inner = field.type.fields if isinstance(field.type, inspect.StructType) else ()
        if any(key == one.encode_name for one in inner):
            return f"it belongs to {name}: {name}.{key}"
    return did_you_mean(key, fields)


_CONFIG = inspect.type_info(Config)
_SECRET_TABLE = inspect.type_info(_SecretTable)

_Reader = Callable[[_Decoder, Any, object, KeyPath], object]
_READERS: dict[type[inspect.Type], _Reader] = {
    inspect.StructType: _Decoder.struct,
    inspect.DictType: _Decoder.mapping,
    inspect.VarTupleType: _Decoder.array,
    inspect.UnionType: _Decoder.optional,
    inspect.LiteralType: _Decoder.choice,
    inspect.StrType: _Decoder.text,
    inspect.BoolType: _Decoder.flag,
    inspect.IntType: _Decoder.whole,
    inspect.AnyType: _Decoder.anything,
    inspect.Metadata: _Decoder.written,
}
# The written forms that `schema.py` names.
_WRITTEN_READERS: dict[str, _Reader] = {
    "duration": _Decoder.duration,
    "size": _Decoder.size,
    "kind": _Decoder.provider,
    "secret": _Decoder.secret,
}
_TYPE_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number with a fraction",
    bool: "true or false",
    dict: "a table",
    list: "an array",
}
