"""Configuration files: what is wrong, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.config.parse import parse_config
from llmproxyd.config.places import KeyPath
from llmproxyd.config.positions import key_positions
from llmproxyd.errors import ConfigError, Problem

FULL = (Path(__file__).parent / "full.toml").read_text(encoding="utf-8")


def has_fixed_name(path: KeyPath) -> bool:
    """Another name for this key is a mistake."""
    is_free = path[-2:-1] and path[-2] in ("backends", "models", "quirks", "limits")
    return isinstance(path[-1], str) and not is_free


FIXED = sorted(path for path in key_positions(FULL) if has_fixed_name(path))


def broken_at(line: int, column: int) -> str:
    """The full configuration with the key at this place misspelt."""
    lines = FULL.split("\n")
    lines[line - 1] = f"{lines[line - 1][: column - 1]}zz{lines[line - 1][column - 1 :]}"
    return "\n".join(lines)


def test_full_configuration_has_no_problem() -> None:
    assert () == parse_config(FULL, "c.toml").problems


@given(st.sampled_from(FIXED))
@settings(max_examples=len(FIXED))
def test_misspelt_key_is_reported_where_it_stands(path: KeyPath) -> None:
    line, column = key_positions(FULL)[path]
    found = parse_config(broken_at(line, column), "c.toml").problems
    assert ("c.toml", line, column, "unknown key") in [
        (problem.file, problem.line, problem.column, problem.message) for problem in found
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = foo", ("c.toml", 1, 5, "invalid value", "text needs quotes")),
        ("a = True", ("c.toml", 1, 5, "invalid value", "lower case")),
        ("\na = 1\na = 2\nb = 3", ("c.toml", 3, 6, "cannot overwrite a value", "written twice")),
        ("a = 1\na = 2\n\n\n", ("c.toml", 2, 6, "cannot overwrite a value", "written twice")),
        ("[x]\n[x]\n", ("c.toml", 2, 3, "cannot declare ('x',) twice", "join the two")),
        ('a = "x', ("c.toml", 1, 7, "unterminated string", "a quote is not closed")),
        ('a = "x\nb = 1', ("c.toml", 1, 7, "illegal character", "not closed on its line")),
        ('a = "\\q"', ("c.toml", 1, 8, "unescaped '\\'", "double every backslash")),
        ("a = 1 b = 2", ("c.toml", 1, 7, "expected newline", "one key and value a line")),
        ("ü = 1", ("c.toml", 1, 1, "invalid statement", "a line is a key")),
        ("a = {b = 1, b = 2}", ("c.toml", 1, 18, "duplicate inline table key", "written twice")),
        ("a", ("c.toml", 1, 2, "expected '=' after a key", "")),
        ("a = 0x1\x00", ("c.toml", 1, 8, "", "")),
    ],
)
def test_syntax_error_is_told_with_its_place(
    text: str, expected: tuple[str, int, int, str, str]
) -> None:
    file, line, column, message, hint = expected
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "c.toml")
    (problem,) = caught.value.problems
    assert (file, line, column) == (problem.file, problem.line, problem.column)
    assert problem.message.startswith(f"not valid TOML: {message}")
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = " + "[" * 100_000, Problem("", "not valid TOML: nested too deeply", "", "c.toml")),
        ("a = " + "9" * 5000, None),
        ("a = 2020-99-99", None),
    ],
    ids=["nesting", "giant number", "impossible date"],
)
def test_hostile_toml_is_one_problem(text: str, expected: Problem | None) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "c.toml")
    (problem,) = caught.value.problems
    assert problem.message.startswith("not valid TOML: ")
    assert expected in (None, problem)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=150)
def test_garbage_raises_only_our_error(text: str) -> None:
    try:
        parsed = parse_config(text, "c.toml")
    except ConfigError as error:
        problems = tuple(error.problems)
    else:
        problems = parsed.problems
    assert all("c.toml" == problem.file for problem in problems)


def test_problems_of_every_kind_come_together() -> None:
    text = """backend = 1
[server]
host = "0.0.0.0"
port = 99999
[backends.x]
typ = "vast"
[backends.y]
type = "vast"
url = "localhost:8001"
"""
    found = [(p.line, p.column, p.path) for p in parse_config(text, "c.toml").problems]
    assert [
        (1, 1, "backend"),
        (4, 1, "server.port"),
        (6, 1, "backends.x.typ"),
        (5, 11, "backends.x.type"),
        (3, 1, "server.host"),
        (9, 1, "backends.y.url"),
    ] == found
