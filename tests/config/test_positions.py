"""The scanner sees the keys that tomllib sees, where they stand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from llmproxyd.config.places import KeyPath, Position
from llmproxyd.config.positions import key_positions
from tests.config.toml_documents import documents

_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""")


def key_paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key and array element under `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inner:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from key_paths(item, (*path, key))


@given(documents())
@settings(max_examples=150)
def test_every_key_that_tomllib_sees_has_a_position(text: str) -> None:
    assert set(key_paths(tomllib.loads(text))) == set(key_positions(text))


@given(documents())
@settings(max_examples=150)
def test_the_key_itself_stands_at_its_position(text: str) -> None:
    lines = text.split("\n")
    for path, (line, column) in key_positions(text).items():
        if isinstance(path[-1], str):
            written = _KEY.match(lines[line - 1], column - 1)
            assert written is not None
            assert {path[-1]: 1} == tomllib.loads(f"{written[0]} = 1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# a = 1\n", {}),
        ("a = 1", {("a",): (1, 1)}),
        ("\n  a.'b' = 1", {("a",): (2, 3), ("a", "b"): (2, 5)}),
        ("x = '''\na = 1'''\nb = 2", {("x",): (1, 1), ("b",): (3, 1)}),
        ('x = """\n\\"" """"\nb = 2', {("x",): (1, 1), ("b",): (3, 1)}),
        ("[t]\n[t.u]\na=1", {("t",): (1, 2), ("t", "u"): (2, 4), ("t", "u", "a"): (3, 1)}),
        (
            "[[r]]\na=1\n[[r]]\na=2\n[r.s]",
            {
                ("r",): (1, 3),
                ("r", 0): (1, 3),
                ("r", 0, "a"): (2, 1),
                ("r", 1): (3, 3),
                ("r", 1, "a"): (4, 1),
                ("r", 1, "s"): (5, 4),
            },
        ),
        (
            "a = [1, [2], # x\n3]",
            {
                ("a",): (1, 1),
                ("a", 0): (1, 6),
                ("a", 1): (1, 9),
                ("a", 1, 0): (1, 10),
                ("a", 2): (2, 1),
            },
        ),
        ('"é" = 1', {("é",): (1, 1)}),
        ("\r\na = 1\r\nb = 2", {("a",): (2, 1), ("b",): (3, 1)}),
    ],
)
def test_positions_of_small_documents(text: str, expected: dict[KeyPath, Position]) -> None:
    assert expected == key_positions(text)


def test_absurd_nesting_is_a_recursion_error() -> None:
    with pytest.raises(RecursionError):
        key_positions("a = " + "[" * 5000)
