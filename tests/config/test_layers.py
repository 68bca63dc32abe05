"""Defaults < file < environment < command line."""

from __future__ import annotations

import pytest

from llmproxyd.config.layers import Sources, load_config
from llmproxyd.config.schema import Config
from llmproxyd.errors import ConfigError, Problem

FILE = 'backend = "a"\nserver = { port = 1, host = "::1" }\n'


def problems_of(**sources: object) -> list[str]:
    return [str(problem) for problem in load_config(Sources(file="c.toml", **sources)).problems]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (Sources(), (None, "localhost", 8000)),
        (Sources(text=FILE), ("a", "::1", 1)),
        (Sources(text=FILE, env={"LLM_BACKEND": "b"}), ("b", "::1", 1)),
        (Sources(text=FILE, env={"LLM_BACKEND": " 33 "}), ("33", "::1", 1)),
        (Sources(text=FILE, env={"LLM_PROXY_PORT": "2"}), ("a", "::1", 2)),
        (Sources(text=FILE, env={"LLM_PROXY_PORT": "", "LLM_BACKEND": " "}), ("a", "::1", 1)),
        (Sources(text=FILE, options={"--port": 3}), ("a", "::1", 3)),
        (Sources(text=FILE, options={"--port": "0"}), ("a", "::1", 0)),
        (
            Sources(text=FILE, options={"--port": None, "--host": "localhost"}),
            ("a", "localhost", 1),
        ),
        (Sources(env={"LLM_PROXY_PORT": "2"}, options={"--port": 3}), (None, "localhost", 3)),
        (Sources(env={"LLM_PROXY_PORT": "2", "PATH": "/bin"}), (None, "localhost", 2)),
    ],
)
def test_later_layer_wins(sources: Sources, expected: tuple[str | None, str, int]) -> None:
    parsed = load_config(sources)
    assert () == parsed.problems
    config = parsed.config
    assert expected == (config.backend, config.server.host, config.server.port)


def test_what_no_layer_sets_is_default() -> None:
    assert Config() == load_config(Sources()).config


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (
            {"env": {"LLM_PROXY_PORT": "http"}},
            "LLM_PROXY_PORT: server.port: expected a whole number, got a string",
        ),
        ({"env": {"LLM_PROXY_PORT": "-1"}}, "LLM_PROXY_PORT: server.port: expected a whole"),
        (
            {"env": {"LLM_PROXY_PORT": "99999"}},
            "LLM_PROXY_PORT: server.port: must be at most 65535",
        ),
        ({"env": {"LLM_PROXY_PORT": "9" * 5000}}, "LLM_PROXY_PORT: server.port: expected a whole"),
        ({"options": {"--port": 70000}}, "--port: server.port: must be at most 65535"),
        ({"options": {"--host": "0.0.0.0"}}, "--host: server.host: not an address of this"),
    ],
)
def test_problem_names_the_variable_or_option(sources: dict[str, object], expected: str) -> None:
    (problem,) = problems_of(**sources)
    assert problem.startswith(expected)


def test_problem_of_an_override_has_no_line() -> None:
    parsed = load_config(Sources(text=FILE, file="c.toml", env={"LLM_PROXY_PORT": "x"}))
    assert (
        Problem("server.port", "expected a whole number, got a string", file="LLM_PROXY_PORT"),
    ) == parsed.problems


def test_override_hides_no_mistake_of_the_file() -> None:
    found = problems_of(text='server.port = "x"', env={"LLM_PROXY_PORT": "2"})
    assert ["c.toml:1:8: server.port: expected a whole number, got a string"] == found


def test_other_mistakes_of_the_file_are_told_once() -> None:
    found = problems_of(text="server = 5\nx = 1", env={"LLM_PROXY_PORT": "2"})
    assert [
        "c.toml:2:1: x: unknown key (known: backend, fallback, server_tools, server, backends, log)",
        "c.toml:1:1: server: expected a table, got a whole number",
    ] == found


def test_file_that_is_not_toml_stops_everything() -> None:
    with pytest.raises(ConfigError, match=r"^c\.toml:1:5: not valid TOML"):
        load_config(Sources(text="a = b", file="c.toml", env={"LLM_PROXY_PORT": "x"}))
