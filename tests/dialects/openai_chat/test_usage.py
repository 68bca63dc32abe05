"""Usage: every row of section 2.6, and the estimates where it is missing."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.usage import OutputCounter, read_usage
from llmproxyd.wire.usage import Usage
from tests.dialects.openai_chat.upstream import DONE, chunk, decode, said, usage_chunk


def usage(reported, prompt_estimate=500, output_estimate=50):
    return read_usage(reported, prompt_estimate=prompt_estimate, output_estimate=output_estimate)


def details(**cached):
    return {"prompt_tokens": 100, "completion_tokens": 1, **cached}


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 20}, Usage(100, 20)),
        ({"prompt_tokens": 100, "total_tokens": 120}, Usage(100, 20)),
        ({"prompt_tokens": 100, "total_tokens": 90}, Usage(100, 0)),
        ({"prompt_tokens": 100.0, "completion_tokens": 20.9}, Usage(100, 20)),
        ({"prompt_tokens": 100, "completion_tokens": -5}, Usage(100, 0)),
        (details(prompt_tokens_details={"cached_tokens": 60}), Usage(40, 1, 60)),
        (details(prompt_tokens_details={"cached_tokens": 600}), Usage(0, 1, 100)),
        (details(prompt_tokens_details={"cached_tokens": None}), Usage(100, 1)),
        (details(prompt_tokens_details=None), Usage(100, 1)),
        (details(prompt_tokens_details="x"), Usage(100, 1)),
        (details(prompt_cache_hit_tokens=60), Usage(40, 1, 60)),
        (details(cached_tokens=60), Usage(40, 1, 60)),
        (
            details(prompt_tokens_details={"cached_tokens": 5}, prompt_cache_hit_tokens=60),
            Usage(95, 1, 5),
        ),
        (
            details(prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 10}),
            Usage(30, 1, 60, 10),
        ),
        (
            details(prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 50}),
            Usage(0, 1, 60, 50),
        ),
        (
            details(completion_tokens_details={"reasoning_tokens": 5}),
            Usage(100, 1, thinking_tokens=5),
        ),
        (
            details(completion_tokens_details={"reasoning_tokens": 0}),
            Usage(100, 1, thinking_tokens=0),
        ),
    ],
)
def test_reported_usage(reported, expected):
    assert expected == usage(reported)


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (None, Usage(500, 50, is_estimated=True)),
        ([1], Usage(500, 50, is_estimated=True)),
        ({}, Usage(500, 50, is_estimated=True)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(500, 50, is_estimated=True)),
        ({"prompt_tokens": None, "completion_tokens": None}, Usage(500, 50, is_estimated=True)),
        ({"prompt_tokens": "7", "completion_tokens": True}, Usage(500, 50, is_estimated=True)),
        ({"prompt_tokens": float("nan")}, Usage(500, 50, is_estimated=True)),
        ({"prompt_tokens": 0, "completion_tokens": 7}, Usage(500, 7, is_estimated=True)),
        ({"prompt_tokens": 9}, Usage(9, 50, is_estimated=True)),
        ({"prompt_tokens": 9, "completion_tokens": 0}, Usage(9, 0)),
    ],
)
def test_missing_usage_is_estimated(reported, expected):
    assert expected == usage(reported)


def test_estimates_are_never_zero():
    assert Usage(1, 1, is_estimated=True) == usage(None, 0, 0)


def test_counter_does_not_depend_on_the_pieces():
    whole, pieces = OutputCounter(), OutputCounter()
    whole.text("word " * 100)
    for _ in range(100):
        pieces.text("word ")
    assert whole.tokens == pieces.tokens == 125


def test_counter_keeps_little_of_a_long_answer():
    counter = OutputCounter()
    for _ in range(300):
        counter.text("x" * 1000)
        counter.tool_input("y" * 33)
    assert 75_000 + 3_000 == pytest.approx(counter.tokens, rel=0.01)
    assert sum(map(len, counter._texts)) < 1 << 17


def test_counter_counts_tool_input():
    counter = OutputCounter()
    for _ in range(30):
        counter.tool_input("x" * 3300)
    assert 30_000 == pytest.approx(counter.tokens, rel=0.01)


def test_rough_count_needs_no_counting():
    counter = OutputCounter()
    counter.text("x" * 400)
    assert 100 == counter.rough_tokens
    assert 100 == counter.tokens == counter.rough_tokens


def test_usage_in_the_choice_counts():
    counts = {"prompt_tokens": 7, "completion_tokens": 2}
    choice = {"index": 0, "delta": {"content": "x"}, "usage": counts}
    assert Usage(7, 2) == decode(chunk(choices=[choice]), DONE).decoder.usage


def test_last_of_several_usage_chunks_counts():
    first, second = ({"prompt_tokens": tokens, "completion_tokens": 1} for tokens in (5, 6))
    answer = decode(said("x"), usage_chunk(first), usage_chunk(second), usage_chunk({}), DONE)
    assert Usage(6, 1) == answer.decoder.usage


def test_message_start_has_the_estimate_and_the_end_the_truth():
    answer = decode(said("x"), usage_chunk({"prompt_tokens": 7, "completion_tokens": 2}), DONE)
    assert 1 == answer.events[0]["message"]["usage"]["output_tokens"]
    assert 7 < answer.events[0]["message"]["usage"]["input_tokens"]
    assert 7 == answer.events[-2]["usage"]["input_tokens"]


def test_backend_that_read_much_less_than_we_sent_has_cut_the_prompt():
    long = {"system": "word " * 4000}
    counts = usage_chunk({"prompt_tokens": 2048, "completion_tokens": 2})
    answer = decode(said("x"), counts, DONE, body=long, flags={"preflight": True})
    assert ("context_probably_truncated",) == answer.decoder.notes
    assert () == decode(said("x"), counts, DONE, body=long).decoder.notes
    assert () == decode(said("x"), counts, DONE, flags={"preflight": True}).decoder.notes
    assert () == decode(said("x"), DONE, body=long, flags={"preflight": True}).decoder.notes
