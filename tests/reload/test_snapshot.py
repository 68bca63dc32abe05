"""A whole configuration, compiled, or every reason why not."""

from __future__ import annotations

import gc
import weakref

import pytest

from llmproxyd.errors import ConfigError
from llmproxyd.reload.snapshot import compile_snapshot
from tests.reload.worlds import SAAS, parsed, snapshot, world

TWO = "[backends.fast]\ntype = 'saas'\n[backends.box]\ntype = 'self-hosted'\nurl = 'http://h'\n"


def problems_of(text: str, override: str | None = None, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        snapshot(text, env, override=override)
    return [str(problem) for problem in caught.value.problems]


def test_empty_configuration_is_the_default_backend_alone() -> None:
    found = snapshot()
    assert ("genuine", (), ["genuine"]) == (found.active, found.fallback, list(found.entries))
    assert (1, 1000.0, {}, ()) == (
        found.generation,
        found.loaded_at_s,
        found.unusable,
        found.secrets,
    )


def test_default_backend_stands_beside_the_written_ones() -> None:
    found = snapshot(f"backend = 'fast'\n{TWO}")
    assert ("fast", ["genuine", "fast", "box"]) == (found.active, list(found.entries))


def test_written_backend_may_take_the_name_of_the_default_one() -> None:
    found = snapshot("[backends.genuine]\ntype = 'saas'\n")
    assert (["genuine"], SAAS) == (list(found.entries), found.entries["genuine"].backend)


def test_fallback_is_without_the_active_one_and_without_repetition() -> None:
    text = f"backend = 'fast'\nfallback = ['box', 'fast', 'genuine', 'box']\n{TWO}"
    assert ("box", "genuine") == snapshot(text).fallback
    assert ("fast", "genuine") == snapshot(text, override="box").fallback


def test_override_decides_which_backend_is_active() -> None:
    found = snapshot(f"backend = 'fast'\n{TWO}", override="box")
    assert ("box", "box", "fast") == (found.active, found.override, found.config.backend)


def test_unused_backend_without_its_key_is_only_unusable() -> None:
    found = snapshot(f"backend = 'box'\n{TWO}", env={})
    assert {"fast": "the environment variable SAAS_KEY is not set"} == found.unusable
    assert "fast" in found.entries


def test_secrets_are_all_keys_once_and_never_shown() -> None:
    text = (
        f"{TWO}[backends.a]\ntype = 'saas'\n[backends.b]\ntype = 'keyed'\napi_key = 'canary-key'\n"
        "[backends.c]\ntype = 'local'\napi_key = { file = 'my.key' }"
    )
    found = snapshot(text)
    assert ("saas-key-1", "canary-key", "file-key-1") == found.secrets
    assert "canary" not in repr(found)
    assert "saas-key" not in repr(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"backend = 'fats'\n{TWO}",
            ['c.toml:1:1: backend: there is no backend "fats" (did you mean "fast"?)'],
        ),
        (
            f"backend = 'zzz'\n{TWO}",
            ['c.toml:1:1: backend: there is no backend "zzz" (known: genuine, fast, box)'],
        ),
        (
            "backend = 'saas'",
            [
                'c.toml:1:1: backend: there is no backend "saas" '
                '(add [backends.saas] with type = "saas")'
            ],
        ),
        (
            f"fallback = ['box', 'bax', \"x\\u001b\"]\n{TWO}",
            [
                'c.toml:1:20: fallback[1]: there is no backend "bax" (did you mean "box"?)',
                'c.toml:1:27: fallback[2]: there is no backend "x\\u001b" '
                "(known: genuine, fast, box)",
            ],
        ),
    ],
    ids=["near", "far", "kind", "fallback"],
)
def test_backend_that_is_not_there_is_named(text: str, expected: list[str]) -> None:
    assert expected == problems_of(text, SAAS_KEY="k")


@pytest.mark.parametrize(
    ("text", "override"),
    [
        (f"backend = 'fast'\n{TWO}", None),
        (f"fallback = ['fast']\n{TWO}", None),
        (f"backend = 'fast'\nfallback = ['fast', 'fast']\n{TWO}", None),
        (f"backend = 'box'\n{TWO}", "fast"),
    ],
    ids=["active", "fallback", "both", "override"],
)
def test_backend_in_use_needs_its_key(text: str, override: str | None) -> None:
    (problem,) = problems_of(text, override)
    assert "backends.fast.api_key: the environment variable SAAS_KEY is not set" in problem
    assert "(set SAAS_KEY where the daemon starts, or write api_key = { file =" in problem


def test_configured_backend_may_lack_its_key_while_another_is_used() -> None:
    assert "box" == snapshot(f"backend = 'fast'\n{TWO}", env={}, override="box").active


def test_override_must_exist() -> None:
    assert ['there is no backend "bix" to use (did you mean "box"?)'] == problems_of(
        TWO, "bix", SAAS_KEY="k"
    )


def test_badly_written_backend_is_not_also_unknown() -> None:
    found = problems_of("backend = 'x'\nfallback = ['y']\n[backends.x]\n[backends.y]\ntype = 'zz'")
    assert [
        "c.toml:3:11: backends.x.type: is missing (add type = …)",
        "c.toml:5:1: backends.y.type: unknown backend type "
        "(known: genuine, saas, self-hosted, keyed, local)",
    ] == found


def test_problems_of_all_stages_come_in_the_order_of_the_file() -> None:
    text = """prot = 1
backend = "fast"
fallback = ["gone"]
[server]
port = -1
[backends.fast]
type = "saas"
quirks = { top_k = 1 }
[backends.box]
type = "self-hosted"
url = "h:1"
[backends.other]
type = "vats"
"""
    assert [
        (1, "prot"),
        (3, "fallback[0]"),
        (5, "server.port"),
        (6, "backends.fast.api_key"),
        (8, "backends.fast.quirks.top_k"),
        (11, "backends.box.url"),
        (13, "backends.other.type"),
    ] == [(int(problem.split(":")[1]), problem.split(": ")[1]) for problem in problems_of(text)]


def test_without_any_backend_there_is_nothing_to_use() -> None:
    with pytest.raises(ConfigError, match='backend: there is no backend ""'):
        compile_snapshot(parsed(""), world(kinds={}), generation=1, loaded_at_s=0.0)


def test_snapshot_can_be_watched_until_its_last_request_ends() -> None:
    held = snapshot()
    watched = weakref.ref(held)
    del held
    gc.collect()
    assert watched() is None
