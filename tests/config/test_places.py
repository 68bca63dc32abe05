"""Problems know where they come from."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.config.places import KeyPath, Places, Position, dotted
from llmproxyd.errors import Problem

PLACES = Places(
    "c.toml",
    {("server",): Position(3, 2), ("server", "port"): Position(4, 1)},
    {("backend",): "LLM_BACKEND"},
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), ""),
        (("server", "port"), "server.port"),
        (("fallback", 1), "fallback[1]"),
        (("backends", "my box", "url"), 'backends."my box".url'),
        (("backends", "a.b"), 'backends."a.b"'),
        (("backends", 'a"b'), 'backends."a\\"b"'),
        (("backends", ""), 'backends.""'),
    ],
)
def test_path_is_written_as_in_toml(path: KeyPath, expected: str) -> None:
    assert expected == dotted(path)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1, max_size=3))
@settings(max_examples=100)
def test_dotted_path_names_the_same_key_in_toml(path: list[str]) -> None:
    tree = tomllib.loads(f"{dotted(tuple(path))} = 1")
    for part in path:
        tree = tree[part]
    assert 1 == tree


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("server", "port"), Problem("server.port", "bad", "fix", "c.toml", 4, 1)),
        (("server", "host"), Problem("server.host", "bad", "fix", "c.toml", 3, 2)),
        (("backend",), Problem("backend", "bad", "fix", "LLM_BACKEND")),
        (("log", "level"), Problem("log.level", "bad", "fix", "c.toml")),
    ],
    ids=["written", "at its table", "overridden", "nowhere"],
)
def test_problem_stands_where_the_value_was_written(path: KeyPath, expected: Problem) -> None:
    assert expected == PLACES.problem(path, "bad", "fix")


def test_only_keys_of_the_file_are_written() -> None:
    assert [True, False] == [PLACES.is_written(("server",)), PLACES.is_written(("backend",))]
