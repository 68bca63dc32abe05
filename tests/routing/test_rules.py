from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.routing.rules import (
    alias_of,
    declared_models,
    resolve_model,
    slot_of,
    unaliased,
)
from llmproxyd.spi import Backend, BackendEntry

OPUS = "claude-opus-5-5"


def entry(**fields: Any) -> BackendEntry:
    backend = Backend(kind="acme", dialects=())
    return BackendEntry(name="a", backend=backend, url="http://h", dialect=None, **fields)


MAPPED = entry(
    model="default-model",
    models={
        "opus": "big",
        "claude-*-4-*": "from-glob",
        "claude-sonnet-4-5": "from-exact",
        "haiku": "small",
        "*-latest": "from-second-glob",
        "gpt-[45]": "from-set",
    },
)


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ("claude-sonnet-4-5", "from-exact"),
        ("claude-sonnet-4-5[1m]", "from-exact"),
        ("claude-opus-4-1", "from-glob"),
        ("Claude-Opus-4-1", "from-glob"),
        ("claude-haiku-4-latest", "from-glob"),
        ("claude-haiku-latest", "from-second-glob"),
        ("gpt-5", "from-set"),
        (OPUS, "big"),
        (f"{OPUS}[1m]", "big"),
        ("anthropic/claude-opus-5", "big"),
        ("claude-3-haiku-20240307", "small"),
        ("opus", "big"),
        ("claude-sonnet-5", "default-model"),
        ("claude-octopus-5", "default-model"),
        ("my-opus-model", "default-model"),
        ("anything", "default-model"),
        ("small", "small"),
        ("default-model", "default-model"),
        ("claude-local-qwen/q3:8b", "qwen/q3:8b"),
        ("claude-local-opus-latest", "opus-latest"),
    ],
)
def test_name_is_resolved_in_the_documented_order(requested: str, expected: str) -> None:
    assert expected == resolve_model(MAPPED, requested)


@pytest.mark.parametrize("requested", [OPUS, "qwen/q3:8b", "x"])
def test_name_goes_up_as_it_is_when_nothing_is_configured(requested: str) -> None:
    assert requested == resolve_model(entry(), requested)


def test_long_context_suffix_never_goes_up() -> None:
    assert resolve_model(entry(), f"{OPUS}[1m]") == OPUS


def test_exact_name_may_redefine_an_alias() -> None:
    assert resolve_model(entry(models={"claude-local-x": "y"}), "claude-local-x") == "y"


def test_upstream_name_that_looks_like_an_alias_stays() -> None:
    assert resolve_model(entry(model="claude-local-x"), "claude-local-x") == "claude-local-x"


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        (OPUS, "opus"),
        ("claude-3-5-sonnet-20241022", "sonnet"),
        ("us.anthropic.claude-haiku-4-5-v1:0", "haiku"),
        ("claude-FABLE-5", "fable"),
        ("claude-mythos-5", None),
        ("opus", None),
    ],
)
def test_slot_is_the_family_of_a_claude_name(name: str, slot: str | None) -> None:
    assert slot == slot_of(name)


def test_declared_models_are_listed_once_in_order() -> None:
    models = {"opus": "b", "haiku": "a", "sonnet": "b"}
    assert declared_models(entry(model="a", models=models)) == ("a", "b")
    assert declared_models(entry()) == ()


@pytest.mark.parametrize("name", ["claude-opus-5", "us.Anthropic.x", "my-Claude"])
def test_name_that_the_picker_shows_needs_no_alias(name: str) -> None:
    assert name == alias_of(name)


@given(st.text(min_size=1))
def test_alias_is_shown_by_the_picker_and_stands_for_its_model(model: str) -> None:
    alias = alias_of(model)
    assert "claude" in alias.lower() or "anthropic" in alias.lower()
    assert model == (unaliased(alias) if alias != model else alias)


@given(st.text(alphabet="qwen3:/-. ", min_size=1), st.sampled_from([None, "default-model"]))
def test_alias_resolves_to_the_model_that_it_stands_for(model: str, default: str | None) -> None:
    assert model == resolve_model(entry(model=default), alias_of(model))
