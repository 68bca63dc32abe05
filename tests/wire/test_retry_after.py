from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.wire.retry_after import retry_after_s

CASES = {
    "nothing": ({}, "", None),
    "milliseconds first": ({"retry-after-ms": "1500", "retry-after": "9"}, "", 1.5),
    "E03 float seconds": ({"retry-after": "1.2"}, "", 1.2),
    "whole seconds": ({"retry-after": "30"}, "try again in 5s", 30.0),
    "negative": ({"retry-after": "-3"}, "", 0.0),
    "not finite": ({"retry-after": "inf"}, "", None),
    "date": (
        {
            "retry-after": "Wed, 21 Oct 2026 07:28:10 GMT",
            "date": "Wed, 21 Oct 2026 07:28:00 GMT",
        },
        "",
        10.0,
    ),
    "date in the past": (
        {
            "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT",
            "date": "Wed, 21 Oct 2026 07:28:10 -0000",
        },
        "",
        0.0,
    ),
    "date without a clock": ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", None),
    "garbage": ({"retry-after": "soon"}, "", None),
    "exhausted bucket, cerebras": (
        {
            "x-ratelimit-remaining-requests-day": "100",
            "x-ratelimit-reset-requests-day": "33011.38",
            "x-ratelimit-remaining-tokens-minute": "0",
            "x-ratelimit-reset-tokens-minute": "11.5s",
        },
        "",
        11.5,
    ),
    "longest exhausted bucket": (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-remaining-tokens": "-1",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        "",
        360.0,
    ),
    "exhausted without a reset": ({"x-ratelimit-remaining-tokens": "0"}, "", None),
    "unreadable remainder": (
        {"x-ratelimit-remaining-tokens": "?", "x-ratelimit-reset-tokens": "5s"},
        "",
        None,
    ),
    "per-minute bucket as a guess": (
        {
            "x-ratelimit-remaining-tokens-minute": "12",
            "x-ratelimit-reset-tokens-minute": "7.25",
        },
        "try again in 1s",
        7.25,
    ),
    "words": ({}, "Rate limit reached. Please try again in 1m2.5s. Visit", 62.5),
    "words, seconds": ({}, "Try again in 20 seconds.", 20.0),
    "words, milliseconds": ({}, "Please try again in 120ms.", 0.12),
    "words without a time": ({}, "Please try again in a while.", None),
    "long duration": ({"x-ratelimit-reset-tokens-minute": "1d1h1m1s"}, "", 90061.0),
}


@pytest.mark.parametrize(("headers", "message", "wait_s"), CASES.values(), ids=CASES)
def test_wait_is_read_from_the_most_explicit_source(headers, message, wait_s):
    assert pytest.approx(wait_s) == retry_after_s(tuple(headers.items()), message)


@given(st.text(), st.text(), st.text())
def test_no_header_or_message_makes_it_fail(value, date, message):
    headers = (
        ("retry-after", value),
        ("date", date),
        ("x-ratelimit-remaining-tokens", value),
        ("x-ratelimit-reset-tokens", date),
    )

    wait_s = retry_after_s(headers, f"try again in {message}")

    assert wait_s is None or wait_s >= 0
