from __future__ import annotations

import pytest

from llmproxyd.dialects.anthropic.tally import Tally
from llmproxyd.wire.usage import Usage


def tally_of(*usages):
    tally = Tally()
    for usage in usages:
        tally.add(usage)
    return tally


@pytest.mark.parametrize("usage", [None, 5, "x", [], {}, {"input_tokens": None}])
def test_without_counts_nothing_is_known(usage):
    tally = tally_of(usage)

    assert tally.usage is None
    assert tally.is_empty


def test_later_counts_replace_earlier_ones():
    tally = tally_of(
        {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 7},
        {"input_tokens": None, "output_tokens": 9, "cache_creation_input_tokens": 2},
    )

    assert Usage(5, 9, 7, 2) == tally.usage


def test_thinking_tokens_are_known_only_when_told():
    assert tally_of({"output_tokens": 9}).usage == Usage(0, 9)
    told = {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    assert Usage(0, 9, thinking_tokens=4) == tally_of(told).usage


@pytest.mark.parametrize("value", [-1, "5", 1.5, [1]])
def test_what_is_no_count_is_ignored(value):
    assert Usage(3) == tally_of({"input_tokens": 3}, {"input_tokens": value}).usage


@pytest.mark.parametrize(
    ("counts", "is_empty"), [({"input_tokens": 0}, True), ({"output_tokens": 1}, False)]
)
def test_zeros_are_as_good_as_nothing(counts, is_empty):
    assert is_empty == tally_of(counts).is_empty
