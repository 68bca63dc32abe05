"""What the parts of one translation share."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.scope import Scope, is_blank, kind_of, text_of
from llmproxyd.spi import Quirks


def test_notes_are_kept_once_and_in_order():
    scope = Scope(Quirks(), {})
    for event, subject in (("b", ""), ("a", "x"), ("b", ""), ("a", "x")):
        scope.note(event, subject)
    assert ("b", "a:x") == scope.notes


@pytest.mark.parametrize("subject", ["two words", "a" * 41, "x: y", "é!", "1st"])
def test_notes_repeat_names_only(subject):
    scope = Scope(Quirks(), {})
    scope.note("dropped", subject)
    assert ("dropped:unnamed",) == scope.notes


@pytest.mark.parametrize(
    ("text", "expected"), [("", True), (" \n\t", True), ("a", False), (" a", False)]
)
def test_blank_is_empty_or_whitespace(text, expected):
    assert expected is is_blank(text)


@pytest.mark.parametrize(("value", "expected"), [("a", "a"), (None, ""), (5, ""), (["a"], "")])
def test_only_text_is_text(value, expected):
    assert expected == text_of(value)
    assert expected == kind_of({"type": value})


def test_block_without_type_has_no_kind():
    assert "" == kind_of({})
