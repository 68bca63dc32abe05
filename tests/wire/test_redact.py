"""Secrets do not leave (section 4, case E08)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.wire.redact import redact

TAIL = "0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key sk-{TAIL} is bad", "key [redacted] is bad"),
        (f"key sk-ant-api03-{TAIL}, bad", "key [redacted], bad"),
        (f"csk-{TAIL}", "[redacted]"),
        (f"hf_{TAIL}", "[redacted]"),
        (f"rpa_{TAIL}", "[redacted]"),
        (f"Authorization: Bearer {TAIL}", "Authorization: Bearer [redacted]"),
        (f"bearer   {TAIL}", "bearer [redacted]"),
        (f'"Bearer {TAIL}"', '"Bearer [redacted]"'),
        (f"Bearer sk-{TAIL}", "Bearer [redacted]"),
    ],
)
def test_what_looks_like_a_token_is_masked(text, expected):
    assert expected == redact(text)


@pytest.mark.parametrize(
    "text", ["", "the bearer of news", "risk-assessment-report", "sk-short", "tasks_012345678"]
)
def test_other_text_is_left_alone(text):
    assert text == redact(text)


def test_known_secrets_are_masked_wherever_they_are():
    assert "x[redacted]y[redacted]" == redact("xhunter22yhunter22", ["hunter22"])


def test_secret_that_begins_with_another_is_masked_whole():
    assert "[redacted] [redacted]" == redact("abcdef abcd", ["abcd", "abcdef"])


def test_tiny_secrets_would_only_destroy_the_text():
    assert "abc" == redact("abc", ["", "a", "abc"])


@given(st.text(max_size=30), st.text("0123456789", min_size=4, max_size=12), st.text(max_size=30))
def test_no_secret_is_left(before, secret, after):
    assert secret not in redact(before + secret + after, [secret])
