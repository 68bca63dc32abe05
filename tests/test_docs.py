"""The reference tells the truth: every key, its default, and what needs a restart."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from msgspec import inspect

from llmproxyd.config.layers import OPTIONS, VARIABLES
from llmproxyd.config.parse import parse_config
from llmproxyd.config.places import dotted
from llmproxyd.config.schema import Config
from llmproxyd.config.units import duration_s, size_bytes
from llmproxyd.registry import discover
from llmproxyd.reload.changes import NEEDS_RESTART
from llmproxyd.reload.entries import World
from llmproxyd.reload.snapshot import compile_snapshot
from llmproxyd.spi import Quirks

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

# How the keys of tables with free names are written in the reference.
_NAMES = {"backends": "backends.NAME", "backends.NAME.limits": 'backends.NAME.limits."MODEL"'}
_READERS: dict[str, Callable[[object], object]] = {"duration": duration_s, "size": size_bytes}


class Key(NamedTuple):
    """A key of the schema: how its value is written, and its default."""

    written: str
    default: object


def schema_keys(kind: inspect.Type, path: str = "") -> Iterator[tuple[str, Key]]:
    """Every key that a file can have, as the reference writes it."""
    assert isinstance(kind, inspect.StructType)
    for field in kind.fields:
        key = f"{path}.{field.encode_name}" if path else field.encode_name
        inner = field.type.value_type if isinstance(field.type, inspect.DictType) else field.type
        if isinstance(inner, inspect.StructType):
            yield from schema_keys(inner, _NAMES.get(key, key))
        else:
            extra = inner.extra if isinstance(inner, inspect.Metadata) else None
            yield key, Key((extra or {}).get("written", ""), default_of(field))


def default_of(field: inspect.Field) -> object:
    if field.default_factory is not inspect.NODEFAULT:
        return field.default_factory()
    return None if field.default is inspect.NODEFAULT else field.default


def rows() -> dict[str, list[str]]:
    """The cells after the first of every table row that begins with a word in code."""
    found = re.findall(r"^\| `([^`]+)` \|(.*)\|$", PAGE, re.MULTILINE)
    return {name: [cell.strip() for cell in f"{cells} ".split(" | ")] for name, cells in found}


def documented_default(cells: list[str]) -> object:
    if cells[1] == "—":
        return None
    value = tomllib.loads(f"v = {cells[1].strip('`')}")["v"]
    return tuple(value) if isinstance(value, list) else value


KEYS = dict(schema_keys(inspect.type_info(Config)))
FLAGS = {field.name: field.default for field in msgspec.structs.fields(Quirks)}
ROWS = rows()
EXAMPLES = [
    pytest.param(text, id=f"{page}-{number}")
    for page in ("docs/configuration.md", "README.md")
    for number, text in enumerate(
        re.findall(
            r"^```toml\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
    )
]


def test_every_key_and_flag_has_its_row_and_nothing_else_has() -> None:
    assert KEYS.keys() | FLAGS.keys() | VARIABLES.keys() == ROWS.keys()


@pytest.mark.parametrize("key", KEYS)
def test_default_of_a_key_is_as_documented(key: str) -> None:
    read = _READERS.get(KEYS[key].written, lambda value: value)
    documented = documented_default(ROWS[key])
    assert KEYS[key].default == (None if documented is None else read(documented))


@pytest.mark.parametrize("flag", FLAGS)
def test_default_of_a_flag_is_as_documented(flag: str) -> None:
    assert FLAGS[flag] == documented_default(ROWS[flag])


def test_keys_that_need_a_restart_are_marked() -> None:
    marked = {key for key in KEYS if ROWS[key][2].strip() == "restart"}
    assert set(NEEDS_RESTART) == marked


def test_variables_and_options_set_what_is_documented() -> None:
    table = {
        (name, cells[0].strip("`"), cells[1].strip("`"))
        for name, cells in ROWS.items()
        if name in VARIABLES
    }
    options = {dotted(path): option for option, path in OPTIONS.items()}
    assert {
        (name, options.get(dotted(path), ""), dotted(path)) for name, path in VARIABLES.items()
    } == table
    assert all(f"`{option}` | `{key}`" in PAGE for key, option in options.items())


def test_every_provider_is_listed() -> None:
    listed = set(re.findall(r"`([a-z-]+)`", ROWS["backends.NAME.type"][0]))
    assert set(discover()) == listed


@pytest.mark.parametrize("text", EXAMPLES)
def test_example_is_a_good_configuration(text: str) -> None:
    world = World(kinds=discover(), env={"CEREBRAS_API_KEY": "key"}, read_key=lambda path: "key")
    parsed = parse_config(text, "example")
    snapshot = compile_snapshot(parsed, world, generation=1, loaded_at_s=0.0)
    assert parsed.config.backend == snapshot.active
