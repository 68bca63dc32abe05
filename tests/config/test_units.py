"""Durations and sizes as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.config.units import LONGEST_S, duration_s, size_bytes


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (30, 30.0),
        (0, 0.0),
        (1.5, 1.5),
        ("0", 0.0),
        ("45", 45.0),
        ("500ms", 0.5),
        ("30s", 30.0),
        ("15m", 900.0),
        ("8h", 28800.0),
        ("400d", None),
        ("1d", 86400.0),
        ("1.5h", 5400.0),
        (" 30 S ", 30.0),
        ("", None),
        ("s", None),
        ("-1s", None),
        ("30 seconds", None),
        ("1h30m", None),
        ("3e2", None),
        ("٣s", None),
        ("9" * 5000 + "s", None),
        (-1, None),
        (10**400, None),
        (math.inf, None),
        (math.nan, None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_duration_is_read_in_every_written_form(written: object, expected: float | None) -> None:
    assert expected == duration_s(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (1024, 1024),
        ("1024", 1024),
        ("512B", 512),
        ("64KiB", 65536),
        ("32MiB", 33554432),
        ("32mib", 33554432),
        ("32MB", 32000000),
        ("32 MiB", 33554432),
        ("1.5GiB", 1610612736),
        ("2gb", 2000000000),
        ("1kb", 1000),
        ("0", 0),
        ("32M", None),
        ("MiB", None),
        ("", None),
        (-1, None),
        (1.5, None),
        (False, None),
        (None, None),
    ],
)
def test_size_is_read_in_every_written_form(written: object, expected: int | None) -> None:
    assert expected == size_bytes(written)


@given(st.floats() | st.integers() | st.text() | st.none() | st.booleans())
@settings(max_examples=100)
def test_garbage_gives_a_duration_in_range_or_none(written: object) -> None:
    seconds = duration_s(written)
    assert seconds is None or 0 <= seconds <= LONGEST_S
