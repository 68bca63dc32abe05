"""TOML trees to structs: every key, and every way to get one wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from llmproxyd.config.decode import decode_config
from llmproxyd.config.places import Places
from llmproxyd.config.schema import (
    BackendConfig,
    Config,
    LogConfig,
    ModelLimits,
    SecretRef,
    ServerConfig,
    TimeoutsConfig,
)

FULL = (Path(__file__).parent / "full.toml").read_text(encoding="utf-8")


def problems_of(text: str) -> list[str]:
    _, problems = decode_config(tomllib.loads(text), Places())
    return [str(problem) for problem in problems]


def test_every_key_is_read() -> None:
    config, problems = decode_config(tomllib.loads(FULL), Places())
    assert [] == problems
    assert config == Config(
        backend="box",
        fallback=("cerebras", "anthropic"),
        server_tools="anthropic",
        server=ServerConfig("::1", 8123, 64 * 1024 * 1024, 90.0),
        log=LogConfig("debug", "json"),
        backends={
            "cerebras": BackendConfig(
                type="cerebras",
                url="https://api.cerebras.ai/v1/",
                api_key=SecretRef(env="CEREBRAS_API_KEY"),
            ),
            "box": BackendConfig(
                type="self-hosted",
                url="http://localhost:8001",
                protocol="openai",
                model="qwen3-coder",
                models={"opus": "qwen3-max", "claude-*-haiku-*": "qwen3-mini"},
                api_key=SecretRef(file="~/box.key"),
                description="under the desk",
                context_window=131072,
                max_output=16384,
                limits={
                    "qwen3-max": ModelLimits(
                        context_window=262144, max_output=32768, vision=True, reasoning=False
                    )
                },
                timeouts=TimeoutsConfig(0.5, 0.0, 300.0),
                retries=0,
                quirks={"top_k": True},
            ),
            "spare": BackendConfig(type="ollama", api_key=SecretRef(literal="literal-key")),
        },
    )


def test_nothing_written_is_all_defaults() -> None:
    assert (Config(), []) == decode_config({}, Places())


def test_models_keep_their_order() -> None:
    text = 'backends.x = { type = "t", models = { z = "1", a = "2", m = "3" } }'
    config, _ = decode_config(tomllib.loads(text), Places())
    assert ["z", "a", "m"] == list(config.backends["x"].models)


DURATION = '(write a number of seconds or e.g. "500ms", "30s", "15m", "8h", "1d")'
SIZE = '(write a number of bytes or e.g. "64KiB", "32MiB", "32MB", "1GiB")'
KEY = '(write "KEY", { env = "NAME" } or { file = "PATH" })'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('backnd = "x"', ['backnd: unknown key (did you mean "backend"?)']),
        ("port = 8000", ["port: unknown key (it belongs to server: server.port)"]),
        (
            "xyzzy = 1",
            ["xyzzy: unknown key (known: backend, fallback, server_tools, server, backends, log)"],
        ),
        ("backend = 5", ["backend: expected a string, got a whole number"]),
        ('backend = ""', ["backend: must not be empty"]),
        ('fallback = "vast"', ["fallback: expected an array, got a string"]),
        ('fallback = ["a", 1]', ["fallback[1]: expected a string, got a whole number"]),
        ("server = 8000", ["server: expected a table, got a whole number"]),
        ("backends = []", ["backends: expected a table, got an array"]),
        ("backends.x = 1.5", ["backends.x: expected a table, got a number with a fraction"]),
        ('server.port = "8000"', ["server.port: expected a whole number, got a string"]),
        ("server.port = true", ["server.port: expected a whole number, got true or false"]),
        ("server.port = -1", ["server.port: must be at least 0"]),
        ("server.port = 65536", ["server.port: must be at most 65535"]),
        ('server.max_body = "32M"', [f"server.max_body: not a size {SIZE}"]),
        ("server.max_body = 0", ["server.max_body: must be more than 0"]),
        ('server.drain_timeout = "3 w"', [f"server.drain_timeout: not a duration {DURATION}"]),
        ("server.drain_timeout = 1979-05-27", [f"server.drain_timeout: not a duration {DURATION}"]),
        ("server.host = 1979-05-27", ["server.host: expected a string, got a date or time"]),
        ('log.level = "inof"', ['log.level: unknown value (did you mean "info"?)']),
        ('log.format = "xml"', ["log.format: unknown value (known: auto, console, json)"]),
        ("log.level = 3", ["log.level: expected a string, got a whole number"]),
        ("[backends.x]", ["backends.x.type: is missing (add type = …)"]),
        ("backends.x.type = []", ["backends.x.type: expected a string, got an array"]),
        ('backends.x.type = " "', ["backends.x.type: must not be empty"]),
    ],
)
def test_what_is_wrong_is_named(text: str, expected: list[str]) -> None:
    assert expected == problems_of(text)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("modle = 1", 'modle: unknown key (did you mean "model"?)'),
        ("base_url = 1", "base_url: unknown key (known: type, url, protocol,"),
        ("models = { opus = '' }", "models.opus: must not be empty"),
        ("models = ['a']", "models: expected a table, got an array"),
        ("context_window = 0", "context_window: must be more than 0"),
        ("retries = 99", "retries: must be at most 10"),
        ("timeouts = { idel = 1 }", 'timeouts.idel: unknown key (did you mean "idle"?)'),
        ("timeouts = { idle = -1 }", f"timeouts.idle: not a duration {DURATION}"),
        ("limits.m.vision = 1", "limits.m.vision: expected true or false, got a whole number"),
        ("limits.'a/b'.x = 1", 'limits."a/b".x: unknown key'),
        ("api_key = ''", f"api_key: is empty {KEY}"),
        ("api_key = 5", f"api_key: expected a string or a table, got a whole number {KEY}"),
        ("api_key = {}", f"api_key: needs exactly one of env and file {KEY}"),
        ("api_key = { env = '' }", f"api_key: needs exactly one of env and file {KEY}"),
        (
            "api_key = { env = 'A', file = 'b' }",
            f"api_key: needs exactly one of env and file {KEY}",
        ),
        ("api_key = { literal = 'k' }", "api_key.literal: unknown key (known: env, file)"),
        ("api_key = { evn = 'A' }", 'api_key.evn: unknown key (did you mean "env"?)'),
        ("quirks = 1", "quirks: expected a table, got a whole number"),
    ],
)
def test_what_is_wrong_with_a_backend_is_named(pair: str, expected: str) -> None:
    (problem,) = problems_of(f"[backends.x]\ntype = 't'\n{pair}")
    assert problem.startswith(f"backends.x.{expected}")


def test_all_problems_are_found_at_once() -> None:
    text = "a = 1\nserver.b = 2\nserver.port = 'x'\nbackends.c = {}\nfallback = [1, 2]"
    assert 6 == len(problems_of(text))


def test_what_can_not_be_read_keeps_its_default() -> None:
    text = "server.port = 'x'\nserver.host = '::1'\nfallback = [1, 'a']\nbackends.x = {}"
    config, _ = decode_config(tomllib.loads(text), Places())
    assert config == Config(fallback=("a",), server=ServerConfig(host="::1"))


@pytest.mark.parametrize(
    "text",
    [
        "backends.x = { type = 't', api_key = ['sk-canary'] }",
        "backends.x = { type = 't', protocol = 'sk-canary' }",
        "backends.x = { type = 't', api_key = { env = 'sk-canary', file = 'sk-canary' } }",
        "server.port = 'sk-canary'",
        "server.drain_timeout = 'sk-canary'",
    ],
)
def test_no_problem_shows_a_value(text: str) -> None:
    assert all("canary" not in problem for problem in problems_of(text))
