"""The flags as a value."""

from __future__ import annotations

from llmproxyd.quirks import Quirks


def test_flags_are_replaced_and_the_original_stays():
    before = Quirks(top_k=True)
    assert before.updated({"pdf": True}) == Quirks(top_k=True, pdf=True)
    assert before == Quirks(top_k=True)


def test_no_flags_give_the_same_value():
    quirks = Quirks()
    assert quirks.updated({}) is quirks
