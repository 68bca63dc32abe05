"""Tool calls left in the text (section 2.4)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.dialects.openai_chat.salvage import MarkupReader, TextCall
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

SALVAGE = {"salvage_text_tools": True}
HERMES = '<tool_call>\n{"name": "Bash", "arguments": {"a": 1}}\n</tool_call>'
QWEN = (
    "<tool_call>\n<function=Bash>\n<parameter=command>\nls\n-l\n</parameter>\n"
    "<parameter=n>1</parameter>\n</function>\n</tool_call>"
)
BARE_QWEN = "<function=Bash><parameter=a>x</parameter></function>"
NO_PARAMETERS = "<function=Bash>\n</function>"
HARMONY = '<|channel|>commentary to=functions.Bash <|constrain|>json<|message|>{"a":1}<|call|>'
MARKUP = {
    HERMES: {"a": 1},
    QWEN: {"command": "ls\n-l", "n": "1"},
    BARE_QWEN: {"a": "x"},
    NO_PARAMETERS: {},
    HARMONY: {"a": 1},
}
NO_CALLS = [
    "<tool_call>nonsense</tool_call>",
    '<tool_call>{"name": "Bash"}</tool_call>',
    '<tool_call>{"name": "Bash", "arguments": "x"}</tool_call>',
    '<tool_call>{"name": 7, "arguments": {}}</tool_call>',
    '<tool_call>{"name": "Unknown", "arguments": {}}</tool_call>',
    "<tool_call>" + "[" * 5000 + "</tool_call>",
    "<function=Bash>junk</function>",
    "<function=></function>",
    "<function=Bash><parameter=a>x</function>",
    "<|channel|>final<|message|>hello<|call|>",
    '<|channel|>commentary to=functions.Bash<|message|>{"a":<|call|>',
    "<tool_call>never closed",
    "a < b and <tool",
]


def read(pieces, *, salvages=True):
    reader = MarkupReader({"Bash", "Read"}.__contains__, salvages=salvages)
    found = [item for piece in pieces for item in reader.feed(piece)]
    found.append(reader.flush())
    return joined(found), reader.has_found


def joined(items):
    """Adjacent texts as one, empty ones left out."""
    result = []
    for item in items:
        if isinstance(item, str) and result and isinstance(result[-1], str):
            result[-1] += item
        elif item:
            result.append(item)
    return result


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("markup", MARKUP)
def test_complete_markup_of_a_known_tool_is_a_call(markup, size):
    text = f"before {markup} after"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    (before, call, after), has_found = read(pieces)
    assert ("before ", " after", True) == (before, after, has_found)
    assert isinstance(call, TextCall)
    answer = decode(*map(said, pieces), chunk({}, "stop"), DONE, flags=SALVAGE)
    expected = [text_block("before "), tool_block(MARKUP[markup]), text_block(" after")]
    assert expected == answer.content
    assert "tool_use" == answer.message["stop_reason"]


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("text", NO_CALLS)
def test_other_markup_stays_text(text, size):
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert [text] == read(pieces)[0]


@pytest.mark.parametrize("markup", MARKUP)
def test_without_the_flag_markup_is_text_and_noted(markup):
    answer = decode(said("x "), *map(said, markup), said(" y"), DONE)
    assert [text_block(f"x {markup} y")] == answer.content
    assert ("tool_markup_in_text",) == answer.decoder.notes


def test_nothing_is_looked_for_in_a_request_without_tools():
    answer = decode(said(HERMES), DONE, body={"tools": []}, flags=SALVAGE)
    assert [text_block(HERMES)] == answer.content
    assert () == answer.decoder.notes


def test_several_calls_get_ids_of_their_own():
    answer = decode(said(HERMES + HERMES), DONE, flags=SALVAGE)
    assert [tool_block({"a": 1})] * 2 == answer.content
    assert 2 == len({block["id"] for block in answer.message["content"]})
    assert ("tool_markup_in_text",) == answer.decoder.notes


def test_text_without_markup_is_passed_on_at_once():
    reader = MarkupReader({"Bash"}.__contains__, salvages=True)
    assert [["plain"], [" a "], ["<b"], ["x"]] == [
        reader.feed(piece) for piece in ("plain", " a ", "<b", "x")
    ]
    assert reader.is_idle
    assert [] == reader.feed("<tool")
    assert not reader.is_idle
    assert ["<tools"] == reader.feed("s")
    assert reader.is_idle
    assert not reader.has_found


def test_thinking_and_calls_end_half_markup():
    answer = decode(
        said("a <tool"), thought("r"), said("<tool_call>{"), called('{"a":1}', name="Bash"), DONE
    )
    assert [
        text_block("a <tool"),
        thinking_block("r"),
        text_block("<tool_call>{"),
        tool_block({"a": 1}),
    ] == answer.content


def test_half_markup_at_the_end_is_text():
    answer = decode(said('a <tool_call>{"name"'), DONE, flags=SALVAGE)
    assert [text_block('a <tool_call>{"name"')] == answer.content


def test_endless_markup_is_text():
    piece = "x" * (1 << 18)
    found, _ = read(["<tool_call>", *[piece] * 10])
    assert ["<tool_call>" + piece * 10] == found
    reader = MarkupReader({"Bash"}.__contains__, salvages=True)
    reader.feed("<tool_call>")
    assert any(reader.feed(piece) for _ in range(5))


@pytest.mark.parametrize(
    "text",
    [
        (HERMES + " ") * 5_000,
        "<tool_call>" * 100_000,
        "<function=Bash>" + "<parameter=a>" * 50_000 + "</function>",
        "<|channel|>" + " " * 500_000 + "<|call|>",
        "<" * 500_000,
    ],
    ids=["calls", "openers", "parameters", "blanks", "brackets"],
)
def test_hostile_text_costs_nothing(text):
    started = time.process_time()
    read([text])
    read([text[at : at + 1000] for at in range(0, len(text), 1000)])
    assert time.process_time() - started < 4


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["<", "tool_call>", "</", HERMES, BARE_QWEN, "a", "<|channel|>", "<function="]
        ),
        max_size=6,
    ),
    st.integers(1, 9),
)
def test_result_does_not_depend_on_the_pieces(parts, size):
    text = "".join(parts)
    assert read([text]) == read([text[at : at + size] for at in range(0, len(text), size)])
