"""Reasoning in fields and in tags (section 2.3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.dialects.openai_chat.chunks import Delta
from llmproxyd.dialects.openai_chat.reasoning import ThinkSplitter, reasoning_of
from tests.dialects.openai_chat.upstream import (
    DONE,
    called,
    chunk,
    decode,
    said,
    text_block,
    thinking_block,
    thought,
    tool_block,
)

OPEN = {"think_tags": "always_open"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning_content": "r"}, "r"),
        ({"reasoning": "r"}, "r"),
        ({"reasoning": {"content": "r"}}, "r"),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "a"}, {"thinking": "b"}]}, "ab"),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "r"}]}, "r"),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "r"}]}, "r"),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, ""),
        ({"reasoning_content": "r", "reasoning": "other", "thinking_blocks": [{"text": "x"}]}, "r"),
        ({"reasoning_content": "", "reasoning": "r"}, "r"),
        ({"reasoning_content": None, "reasoning": {}, "reasoning_details": [{"text": "r"}]}, "r"),
        ({"reasoning_content": 7, "reasoning": [7, None], "thinking_blocks": {"a": 1}}, ""),
        ({}, ""),
    ],
)
def test_first_field_that_is_not_empty_wins(fields, expected):
    assert expected == reasoning_of(Delta(**fields))


def split(mode, pieces):
    splitter = ThinkSplitter(mode)
    parts = [splitter.feed(piece) for piece in pieces] + [splitter.flush()]
    return "".join(part[0] for part in parts), "".join(part[1] for part in parts)


CASES = [
    ("auto", "<think>r</think>a", ("r", "a")),
    ("auto", "\n <think>r</think>\n\na", ("r", "\n\na")),
    ("auto", "<think></think>a", ("", "a")),
    ("auto", "<think>r</th", ("r</th", "")),
    ("auto", "<think>a < b </ c</think>d", ("a < b </ c", "d")),
    ("auto", "<think>r</think>a <think>b</think>", ("r", "a <think>b</think>")),
    ("auto", "use <think> tags", ("", "use <think> tags")),
    ("auto", "<thin", ("", "<thin")),
    ("auto", "<thinking>x", ("", "<thinking>x")),
    ("auto", " \n", ("", " \n")),
    ("auto", "r</think>a", ("", "r</think>a")),
    ("always_open", "r</think>a", ("r", "a")),
    ("always_open", "r </ x</think>a</think>", ("r </ x", "a</think>")),
    ("always_open", "never closed", ("", "never closed")),
    ("always_open", "", ("", "")),
    ("always_open", "<think>r</think>a", ("r", "a")),
    ("always_open", "<think>never closed", ("never closed", "")),
    ("off", "<think>r</think>a", ("", "<think>r</think>a")),
]


@pytest.mark.parametrize(("mode", "text", "expected"), CASES)
def test_tags_in_any_pieces(mode, text, expected):
    for size in (1, 2, 5, 100):
        assert expected == split(mode, [text[at : at + size] for at in range(0, len(text), size)])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["auto", "always_open", "off"]),
    st.lists(
        st.sampled_from(["<think>", "</think>", "<", "/", "a", " ", "\n", "</th"]), max_size=12
    ),
    st.integers(1, 6),
)
def test_split_does_not_depend_on_the_pieces(mode, parts, size):
    text = "".join(parts)
    assert split(mode, [text]) == split(
        mode, [text[at : at + size] for at in range(0, len(text), size)]
    )


def test_thinking_is_passed_on_as_it_comes():
    splitter = ThinkSplitter("auto")
    assert ("", "") == splitter.feed("<th")
    assert ("one", "") == splitter.feed("ink>one")
    assert (" two", "") == splitter.feed(" two</")
    assert ("</b", "") == splitter.feed("b")
    assert not splitter.is_plain
    assert ("", "text") == splitter.feed("</think>text")
    assert splitter.is_plain


def test_endless_blanks_are_no_beginning():
    splitter = ThinkSplitter("auto")
    shown = "".join(splitter.feed("\n")[1] for _ in range(3000))
    assert splitter.is_plain
    assert 3000 == len(shown)


def test_closing_tag_after_thousands_of_pieces():
    pieces = ["r "] * 20_000 + ["</th", "ink>", "a"]
    assert ("r " * 20_000, "a") == split("always_open", pieces)


def test_tags_are_thinking_blocks():
    answer = decode(said("<th"), said("ink>r"), said("s</think>\n\na"), DONE)
    assert [thinking_block("rs"), text_block("a")] == answer.content


def test_unopened_tag_waits_for_its_end():
    assert [thinking_block("r"), text_block("a")] == decode(
        said("r"), said("</think>\n\na"), DONE, flags=OPEN
    ).content


def test_unopened_tag_that_is_never_closed_is_text():
    assert [text_block("just text")] == decode(
        said("just "), said("text"), DONE, flags=OPEN
    ).content


def test_unopened_tag_is_none_when_reasoning_has_its_field():
    answer = decode(thought("r"), said("a"), said("b"), flags=OPEN)
    assert "SKkgETtt" == answer.word


def test_text_before_reasoning_in_a_field_is_text():
    answer = decode(said("a"), thought("r"), said("b"), DONE, flags=OPEN)
    assert [text_block("a"), thinking_block("r"), text_block("b")] == answer.content


def test_open_tag_survives_reasoning_in_a_field():
    answer = decode(said("<think>a"), thought("b"), said("c</think>d"), DONE, flags=OPEN)
    assert [thinking_block("abc"), text_block("d")] == answer.content


def test_call_ends_an_unopened_tag():
    answer = decode(said("text"), called('{"a":1}', name="Bash"), DONE, flags=OPEN)
    assert [text_block("text"), tool_block({"a": 1})] == answer.content


def test_call_inside_an_open_tag_does_not_close_it():
    answer = decode(said("<think>r </"), called('{"a":1}', name="Bash"), said("s</think>t"), DONE)
    assert [
        thinking_block("r </"),
        tool_block({"a": 1}),
        thinking_block("s"),
        text_block("t"),
    ] == answer.content


def test_call_after_blanks_leaves_the_beginning_open():
    answer = decode(said("\n"), called('{"a":1}', name="Bash"), said("<think>r</think>t"), DONE)
    assert [tool_block({"a": 1}), thinking_block("r"), text_block("t")] == answer.content


def test_text_that_waits_for_its_tag_is_bounded():
    big = "x" * (1 << 22)
    answer = decode(*[said(big)] * 5, flags=OPEN)
    assert "[test] upstream sent too much text out of order" == answer.failure.message


def test_blank_reasoning_is_no_block():
    assert [text_block("a")] == decode(thought("\n"), said("a"), DONE).content


def test_blank_reasoning_before_more_is_kept():
    answer = decode(thought("\n"), thought("r"), said("a"), DONE)
    assert [thinking_block("\nr"), text_block("a")] == answer.content


def test_reasoning_and_text_in_one_chunk():
    answer = decode(chunk({"content": "a", "reasoning": "r"}, "stop"), DONE)
    assert [thinking_block("r"), text_block("a")] == answer.content
