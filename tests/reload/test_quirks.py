"""Flags of `quirks = {…}`."""

from __future__ import annotations

import math

import msgspec
import pytest

from llmproxyd.config.places import Places
from llmproxyd.reload.quirks import read_quirks
from llmproxyd.spi import Quirks


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("top_k", True, True),
        ("stop_max", 1, 1),
        ("temperature_max", 1, 1.0),
        ("default_temperature", 0.7, 0.7),
        ("tool_description_max", 1024, 1024),
        ("strict_tools", False, False),
        ("image_types", ["image/png"], ("image/png",)),
        ("prefill", "vllm", "vllm"),
        ("user_field", "user", "user"),
        ("litellm_cache", {"no-store": True}, {"no-store": True}),
    ],
)
def test_flag_is_read_with_its_own_type(name: str, value: object, expected: object) -> None:
    assert ({name: expected}, []) == read_quirks({name: value}, (), Places())


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("topk", True, 'q.topk: unknown flag (did you mean "top_k"?)'),
        ("top_k", "yes", "q.top_k: expected bool, got str"),
        ("top_k", 1, "q.top_k: expected bool, got int"),
        ("stop_max", 1.5, "q.stop_max: expected int, got float"),
        ("stop_max", -1, "q.stop_max: must be a number from 0 up"),
        ("temperature_max", math.nan, "q.temperature_max: must be a number from 0 up"),
        ("temperature_max", math.inf, "q.temperature_max: must be a number from 0 up"),
        ("prefill", "no", "q.prefill: unknown value (known: reject, pass, vllm)"),
        ("prefill", 1, "q.prefill: unknown value (known: reject, pass, vllm)"),
        ("image_types", ["image/png", 1], "q.image_types: expected str, got int"),
        ("image_types", "image/png", "q.image_types: expected array, got str"),
        ("user_field", 5, "q.user_field: expected str | null, got int"),
    ],
)
def test_wrong_flag_is_explained(name: str, value: object, expected: str) -> None:
    flags, problems = read_quirks({name: value}, ("q",), Places())
    assert ({}, [expected]) == (flags, [str(problem) for problem in problems])


def test_every_flag_can_be_set_to_its_default() -> None:
    # TOML has no null, so a flag that is unset by default can only be left out.
    written = {k: v for k, v in msgspec.to_builtins(Quirks()).items() if v is not None}
    flags, problems = read_quirks(written, (), Places())
    assert [] == problems
    assert Quirks() == Quirks().updated(flags)


def test_good_flags_survive_bad_ones() -> None:
    flags, problems = read_quirks({"x": 1, "top_k": True, "y": 2}, (), Places())
    assert ({"top_k": True}, 2) == (flags, len(problems))
