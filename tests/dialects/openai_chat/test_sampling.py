"""Sampling, stop sequences and the output budget (1.1, 1.8)."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.sampling import (
    LEAST_OUTPUT,
    WINDOW_MARGIN,
    output_budget,
    read_stops,
    sampling_fields,
)
from llmproxyd.dialects.openai_chat.scope import Scope
from llmproxyd.spi import Limits, Quirks


@pytest.mark.parametrize(
    ("requested", "cap", "window", "prompt", "expected"),
    [
        (32000, None, None, 0, 32000),
        (32000, 16384, None, 0, 16384),
        (100, 16384, 32768, 0, 100),
        (32000, None, 32768, 10000, 32768 - 10000 - WINDOW_MARGIN),
        (32000, 8192, 32768, 10000, 8192),
        (32000, None, 32768, 32000, LEAST_OUTPUT),
        (32000, None, 32768, 90000, LEAST_OUTPUT),
        (500, None, 32768, 90000, 500),
        (32000, 512, 32768, 90000, 512),
        (0, 512, 32768, 0, 0),
    ],
)
def test_r24_budget_is_what_was_asked_within_the_limits(requested, cap, window, prompt, expected):
    limits = Limits(max_output=cap, context_window=window)
    assert expected == output_budget(requested, limits, prompt)


SAMPLING = {"temperature": 0.5, "top_p": 0.9, "top_k": 40}


@pytest.mark.parametrize(
    ("body", "flags", "expected", "notes"),
    [
        ({}, {}, {}, ()),
        (SAMPLING, {}, {"temperature": 0.5, "top_p": 0.9}, ("dropped:top_k",)),
        (SAMPLING, {"top_k": True}, SAMPLING, ()),
        (
            SAMPLING,
            {"top_k": True, "no_sampling": True},
            {},
            ("dropped:temperature", "dropped:top_p", "dropped:top_k"),
        ),
        ({"temperature": 2.5}, {}, {"temperature": 2.0}, ()),
        ({"temperature": 1.6}, {"temperature_max": 1.5}, {"temperature": 1.5}, ()),
        ({}, {"default_temperature": 0.7}, {"temperature": 0.7}, ()),
        ({"temperature": 0}, {"default_temperature": 0.7}, {"temperature": 0}, ()),
        ({}, {"default_temperature": 0.7, "no_sampling": True}, {}, ("dropped:temperature",)),
        ({"temperature": "hot", "top_p": None, "top_k": True}, {"top_k": True}, {}, ()),
    ],
)
def test_sampling_goes_as_far_as_the_backend_takes_it(body, flags, expected, notes):
    scope = Scope(Quirks(**flags), {})
    assert expected == sampling_fields(body, scope)
    assert notes == scope.notes


@pytest.mark.parametrize(
    ("given", "flags", "upstream", "proxy"),
    [
        (None, {}, (), ()),
        ([], {}, (), ()),
        (["a", "", " \n", "a", "b", 5], {}, ("a", "b"), ()),
        ("</block>", {}, ("</block>",), ()),
        (list("abcdef"), {}, tuple("abcd"), tuple("ef")),
        (list("abcdef"), {"stop_max": 1}, ("a",), tuple("bcdef")),
        (list("ab"), {"stop_mode": "proxy"}, (), tuple("ab")),
        ({"a": 1}, {}, (), ()),
    ],
)
def test_r20_stops_are_cleaned_and_shared_out(given, flags, upstream, proxy):
    stops = read_stops(given, Quirks(**flags))
    assert (upstream, proxy) == (stops.upstream, stops.proxy)
    assert upstream + proxy == stops.every
