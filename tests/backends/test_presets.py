"""What holds for every provider, and the presets of the translation spec, section 8."""

import re
from typing import Any

import msgspec
import pytest

from llmproxyd.registry import discover
from llmproxyd.spi import Quirks

BACKENDS = discover()

PRESETS: dict[str, dict[str, Any]] = {
    "anthropic": {},
    "cerebras": {
        "max_tokens_field": "max_completion_tokens",
        "temperature_max": 1.5,
        "image_url": "fetch",
        "image_types": ("image/png", "image/jpeg"),
        "reasoning_in": "reasoning",
        "response_format_with_tools": False,
        "learn": True,
        "parallel_flag": True,
    },
    "litellm": {
        "parallel_flag": True,
        "reasoning_control": "effort_or_omit",
        "litellm_cache": {"no-cache": True, "no-store": True},
    },
    "llamacpp": {
        "tool_choice": "string",
        "schema_profile": "llamacpp",
        "top_k": True,
        "prefill": "pass",
        "reasoning_in": "reasoning_content",
        "reasoning_control": "chat_template_budget",
    },
    "ollama": {
        "tool_choice": "absent",
        "image_url": "fetch",
        "image_types": ("image/png", "image/jpeg", "image/webp"),
        "prefill": "pass",
        "reasoning_in": "reasoning",
        "preflight": True,
    },
    "openai-compatible": {},
    "openrouter": {"top_k": True, "parallel_flag": True, "reasoning_control": "openrouter"},
    "runpod": {
        "top_k": True,
        "prefill": "vllm",
        "parallel_flag": True,
        "reasoning_in": "reasoning",
        "repair": True,
    },
    "self-hosted": {"repair": True},
    "vast": {"repair": True},
    "vllm": {
        "top_k": True,
        "prefill": "vllm",
        "parallel_flag": True,
        "reasoning_in": "reasoning",
    },
}


@pytest.mark.parametrize("kind", BACKENDS)
def test_flags_differ_from_the_defaults_as_the_spec_says(kind: str) -> None:
    assert Quirks().updated(PRESETS[kind]) == BACKENDS[kind].quirks


@pytest.mark.parametrize("kind", BACKENDS)
def test_flags_of_models_are_flags_of_the_right_type(kind: str) -> None:
    for _, flags in BACKENDS[kind].model_quirks:
        changed = msgspec.convert(flags, Quirks)
        assert set(flags) <= set(Quirks.__struct_fields__)
        assert Quirks().updated(flags) == changed


@pytest.mark.parametrize("kind", BACKENDS)
def test_globs_of_models_are_in_lower_case(kind: str) -> None:
    for glob, _ in BACKENDS[kind].model_quirks:
        assert glob == glob.lower()


@pytest.mark.parametrize("kind", BACKENDS)
def test_kind_is_a_word_for_a_configuration_file(kind: str) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind)


@pytest.mark.parametrize("kind", BACKENDS)
def test_mandatory_key_can_come_from_the_environment(kind: str) -> None:
    backend = BACKENDS[kind]
    assert backend.key_env is not None or not backend.needs_key
    assert not (backend.needs_key and backend.placeholder_key)


def test_no_address_is_the_default_port_of_the_proxy() -> None:
    assert not [kind for kind, backend in BACKENDS.items() if ":8000" in (backend.base_url or "")]
