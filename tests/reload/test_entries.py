"""One backend, compiled."""

from __future__ import annotations

import pytest

from llmproxyd.reload.entries import Compiled, compile_entry
from llmproxyd.spi import BackendEntry, Dialect, Limits, Secret, Timeouts
from tests.reload.worlds import CHAT, ENV, MESSAGES, SAAS, parsed, world


def compiled(pairs: str, env: dict[str, str] = ENV) -> Compiled:
    """The outcome for one backend that is written as these TOML pairs."""
    one = parsed(f"[backends.x]\n{pairs}")
    assert () == one.problems
    return compile_entry("x", one.config.backends["x"], world(env), one.places)


def entry(pairs: str, env: dict[str, str] = ENV) -> BackendEntry:
    outcome = compiled(pairs, env)
    assert outcome.entry is not None
    return outcome.entry


def problems_of(pairs: str) -> list[str]:
    return [str(problem) for problem in compiled(pairs).problems]


def test_provider_presets_hold_where_nothing_is_written() -> None:
    assert BackendEntry(
        name="x",
        backend=SAAS,
        url="https://api.saas.test/v1",
        dialect=CHAT,
        secret=Secret("saas-key-1"),
        quirks=SAAS.quirks.updated({"repair": True}),
        model_quirks=SAAS.model_quirks,
        limits=Limits(max_output=16384),
        timeouts=Timeouts(first_byte_s=900.0),
    ) == entry("type = 'saas'")


def test_what_is_written_wins_over_presets() -> None:
    found = entry(
        "type = 'saas'\nurl = 'http://h:1/v1//'\nmodel = 'm'\nmodels = { opus = 'o' }\n"
        "context_window = 9\nmax_output = 5\nretries = 3\ntimeouts = { connect = 1, idle = 0 }"
    )
    assert "http://h:1/v1" == found.url
    assert ("m", {"opus": "o"}, 3) == (found.model, found.models, found.retries)
    assert Limits(context_window=9, max_output=5) == found.limits
    assert Timeouts(connect_s=1.0, first_byte_s=900.0, idle_s=0.0) == found.timeouts


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("type = 'saas'", CHAT),
        ("type = 'saas'\nprotocol = 'openai'", CHAT),
        ("type = 'genuine'", MESSAGES),
        ("type = 'self-hosted'\nurl = 'http://h'", None),
        ("type = 'self-hosted'\nurl = 'http://h'\nprotocol = 'openai'", CHAT),
        ("type = 'Self_Hosted'\nurl = 'http://h'\nprotocol = 'anthropic'", MESSAGES),
    ],
)
def test_protocol_picks_the_dialect(pairs: str, expected: Dialect | None) -> None:
    assert entry(pairs).dialect is expected


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("type = 'genuine'", False),
        ("type = 'genuine'\nurl = 'https://api.genuine.test/v1'", False),
        ("type = 'genuine'\nurl = 'https://API.genuine.test:443'", False),
        ("type = 'genuine'\nurl = 'http://localhost:1'", True),
        ("type = 'self-hosted'\nurl = 'http://h'", True),
        ("type = 'self-hosted'\nurl = 'https://api.genuine.test'", False),
        ("type = 'genuine'\nurl = 'http://localhost:1'\nquirks = { repair = false }", False),
        ("type = 'genuine'\nquirks = { repair = true }", True),
    ],
)
def test_only_the_default_providers_own_host_is_not_repaired(pairs: str, expected: bool) -> None:
    assert expected == entry(pairs).quirks.repair


def test_without_a_default_provider_all_are_repaired() -> None:
    one = parsed("[backends.x]\ntype = 'saas'")
    outcome = compile_entry("x", one.config.backends["x"], world(kinds={"saas": SAAS}), one.places)
    assert outcome.entry is not None
    assert outcome.entry.quirks.repair


def test_written_flag_corrects_the_presets_of_provider_and_model() -> None:
    found = entry("type = 'saas'\nquirks = { stop_max = 1, vision = true }")
    assert (1, True, True) == (found.quirks.stop_max, found.quirks.top_k, found.quirks.vision)
    big = found.quirks_of("big-1")
    assert (1, True, True) == (big.stop_max, big.vision, big.reasoning)


def test_claims_about_a_model_win_over_all_other_flags() -> None:
    found = entry(
        "type = 'saas'\nquirks = { vision = true }\n"
        "limits.big-1 = { vision = false, reasoning = false }\nlimits.big-2 = { vision = true }\n"
    )
    assert [(False, False), (True, True), (True, True), (True, False)] == [
        (found.quirks_of(model).vision, found.quirks_of(model).reasoning)
        for model in ("big-1", "big-2", "big-3", "small")
    ]


def test_model_name_with_glob_characters_means_itself() -> None:
    found = entry("type = 'saas'\nlimits.'m[1]*' = { reasoning = true }")
    assert [True, False, False] == [
        found.quirks_of(model).reasoning for model in ("m[1]*", "m1x", "m[1]x")
    ]


def test_limits_of_a_model_fall_back_to_those_of_its_backend() -> None:
    found = entry(
        "type = 'saas'\ncontext_window = 9\nlimits.m.max_output = 3\nlimits.n.vision = true"
    )
    assert Limits(context_window=9, max_output=3) == found.limits_of("m")
    assert Limits(context_window=9, max_output=16384) == found.limits_of("n")
    assert Limits(context_window=9, max_output=16384) == found.limits_of("other")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("type = 'saas'", Secret("saas-key-1")),
        ("type = 'saas'\napi_key = 'mine'", Secret("mine")),
        ("type = 'saas'\napi_key = { env = 'OTHER_KEY' }", Secret("other-key-1")),
        ("type = 'saas'\napi_key = { file = 'my.key' }", Secret("file-key-1")),
        ("type = 'genuine'", None),
        ("type = 'genuine'\napi_key = 'mine'", Secret("mine")),
        ("type = 'local'", None),
        ("type = 'self-hosted'\nurl = 'http://h'", None),
    ],
)
def test_key_comes_from_where_it_is_written_or_the_providers_variable(
    pairs: str, expected: Secret | None
) -> None:
    outcome = compiled(pairs)
    assert outcome.missing is None
    assert outcome.entry is not None
    assert expected == outcome.entry.secret


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("type = 'saas'", "the environment variable SAAS_KEY is not set"),
        ("type = 'saas'\napi_key = { env = 'GONE' }", "the environment variable GONE is not set"),
        ("type = 'local'\napi_key = { env = 'GONE' }", "the environment variable GONE is not set"),
        ("type = 'genuine'\napi_key = { file = 'no' }", "the key file no can not be read: No such"),
        ("type = 'keyed'", "it needs a key"),
    ],
)
def test_entry_without_its_key_says_so(pairs: str, expected: str) -> None:
    outcome = compiled(pairs, {})
    assert outcome.entry is not None
    assert outcome.entry.secret is None
    assert outcome.missing is not None
    assert outcome.missing.reason.startswith(expected)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (
            "type = 'sass'",
            ['c.toml:2:1: backends.x.type: unknown backend type (did you mean "saas"?)'],
        ),
        (
            "type = 'self-hosted'",
            [
                'c.toml:1:11: backends.x.url: a backend of type self-hosted needs a url (add url = "http://HOST:PORT")'
            ],
        ),
        (
            "type = 'saas'\nprotocol = 'anthropic'",
            [
                "c.toml:3:1: backends.x.protocol: a backend of type saas does not speak anthropic (it speaks openai)"
            ],
        ),
        (
            "type = 'saas'\nquirks = { a = 1,  top_k = 1 }",
            [
                f"c.toml:3:12: backends.x.quirks.a: unknown flag (known: {', '.join(list(SAAS.quirks.__struct_fields__)[:20])}, …)",
                "c.toml:3:20: backends.x.quirks.top_k: expected bool, got int",
            ],
        ),
    ],
)
def test_what_does_not_fit_the_provider_is_explained(pairs: str, expected: list[str]) -> None:
    assert expected == problems_of(pairs)


def test_all_that_does_not_fit_is_told_at_once() -> None:
    assert 3 == len(
        problems_of("type = 'self-hosted'\nprotocol = 'openai'\nquirks = { a = 1, b = 1 }")
    )
