"""Tool arguments: every rule of sections 2.4 and 3.5 about them."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.dialects.openai_chat.arguments import Arguments, JSONScanner, settle
from llmproxyd.wire.fold import parse_tool_input
from tests.dialects.openai_chat.upstream import unparsed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=3)


def settled(text, **more):
    return parse_tool_input(settle(text, **more) or "{}")


def pieces_of(text, size):
    return [text[at : at + size] for at in range(0, len(text), size)]


def streamed(pieces, *, is_live=True, repair=False):
    """The whole JSON text that is forwarded for `pieces`."""
    arguments = Arguments(is_live=is_live)
    return "".join([arguments.feed(piece) for piece in pieces]) + arguments.finish(repair=repair)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1}', {"a": 1}),
        (' {"a":1}\n', {"a": 1}),
        ("", {}),
        (" \n", {}),
        ("null", {}),
        ("{}", {}),
        ("{ }", {}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ('" {\\"a\\":1} "', {"a": 1}),
        ('{}{"a":1}', {"a": 1}),
        ('{} {"a":1}', {"a": 1}),
        ('{}{}{"a":1}', {"a": 1}),
        ('{"a":1}}', {"a": 1}),
        ('{"a":1}}}\n', {"a": 1}),
        ('{"a":1}```', {"a": 1}),
        ('```json\n{"a":1}\n```', {"a": 1}),
        ('```\n{"a":1}\n```', {"a": 1}),
        ('```json {"a":1}', {"a": 1}),
        ('{"a":"}{\\"]["}', {"a": '}{"]['}),
        ('{"n":"1","b":"true"}', {"n": "1", "b": "true"}),
        ('{"é":"\u2028"}', {"é": "\u2028"}),
    ],
)
def test_text_that_amounts_to_an_object(text, expected):
    assert expected == settled(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":',
        '{"a" 1}',
        "{a:1}",
        "[1]",
        "7",
        "true",
        '"text"',
        '"[1]"',
        '"open',
        '"\\"{}\\""',
        "nonsense",
        '{"a":1} and more',
        '{"a":1}{"b":2}',
        "```json\nnonsense\n```",
        '{"a":1',
        "{" * 5000,
        '{"a":' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
def test_other_text_is_kept_as_it_is(text):
    assert unparsed(text) == settled(text)
    assert unparsed(text) == json.loads(settle(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1', {"a": 1}),
        ('{"a":"x', {"a": "x"}),
        ('{"a":[1,{"b":"x', {"a": [1, {"b": "x"}]}),
        ('{"a":1}', {"a": 1}),
        ('```json\n{"a":[1', {"a": [1]}),
    ],
)
def test_repair_adds_a_missing_tail(text, expected):
    assert expected == settled(text, repair=True)


@pytest.mark.parametrize("text", ['{"a":', '{"a', "nonsense", '{"a":"x\\', '{"a" 1', "[1"])
def test_repair_does_not_guess(text):
    assert unparsed(text) == settled(text, repair=True)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("text", ['{"a": {"b": [1, "x\\"}"]}}', '{\n    "é": "\\\\"\n}', "{ }"])
def test_object_is_forwarded_whole(text, size):
    assert json.loads(text) == json.loads(streamed(pieces_of(text, size)) or "{}")


def test_object_is_forwarded_at_once():
    arguments = Arguments(is_live=True)
    assert ["", '{"a":', "1", "}"] == [arguments.feed(piece) for piece in (" {", '"a":', "1", "}")]
    assert "" == arguments.finish()


def test_leading_empty_object_waits_and_gives_way():
    assert '{"a":1}' == streamed(["{}", '{"a":1}'])
    assert '{"a":1}' == streamed(["{", "}", " ", "{", '"a":1}'])
    assert '{"a":1}' == streamed(["{}{}", '{"a":1}'])
    assert "" == streamed(["{}"])
    assert "" == streamed(["{", "\n}"])


def test_junk_behind_an_object_is_dropped():
    arguments = Arguments(is_live=True)
    assert '{"a":1}' == arguments.feed('{"a":1}')
    assert not arguments.has_junk
    assert "" == arguments.feed(" \n")
    assert not arguments.has_junk
    assert "" == arguments.feed("}")
    assert arguments.has_junk


def test_junk_in_the_same_piece_is_dropped():
    arguments = Arguments(is_live=True)
    assert '{"a":1}' == arguments.feed('{"a":1}} x')
    assert arguments.has_junk


def test_junk_behind_an_empty_object_is_dropped():
    arguments = Arguments(is_live=True)
    assert "" == arguments.feed("{}")
    assert "" == arguments.feed("}")
    assert arguments.has_junk
    assert arguments.is_certain
    assert "" == arguments.finish()


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"{\\"a\\":1}"', {"a": 1}),
        ('```json\n{"a":1}\n```', {"a": 1}),
        ("null", {}),
        ("nonsense", unparsed("nonsense")),
        ("[1]", unparsed("[1]")),
    ],
)
def test_other_starts_are_kept_to_the_end(text, size, expected):
    arguments = Arguments(is_live=True)
    assert {""} == {arguments.feed(piece) for piece in pieces_of(text, size)}
    assert expected == parse_tool_input(arguments.finish() or "{}")


def test_text_behind_a_kept_value_is_kept_too():
    arguments = Arguments(is_live=False)
    assert {""} == {arguments.feed(piece) for piece in ('{"a":1}', " ", "x")}
    assert unparsed('{"a":1} x') == json.loads(arguments.finish())


def test_truncated_object_stays_raw():
    assert '{"a":' == streamed(['{"a"', ":"])
    assert "{" == streamed(["{"])


def test_whole_call_is_repaired_only_when_asked():
    assert '{"a":1}' == streamed(['{"a"', ":1"], is_live=False, repair=True)
    assert unparsed('{"a":1') == json.loads(streamed(['{"a"', ":1"], is_live=False))


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize(
    ("text", "is_complete", "is_certain"),
    [
        ('{"a":1}', True, True),
        ('{"a":', False, False),
        ("{", False, False),
        ("{}", True, False),
        ('"{\\"a\\":1}"', True, True),
        ('"{\\"a\\"', False, False),
        ('```json\n{"a":1}\n```', True, True),
        ("nonsense", False, False),
        ("}]", False, False),
    ],
)
def test_completeness(is_live, text, is_complete, is_certain):
    for size in (1, 100):
        arguments = Arguments(is_live=is_live)
        assert not arguments.has_begun
        assert not arguments.is_complete
        for piece in pieces_of(text, size):
            arguments.feed(piece)
        assert arguments.has_begun
        assert (is_complete, is_certain) == (arguments.is_complete, arguments.is_certain)


@pytest.mark.parametrize("text", ["{}" * (1 << 20), "{" + " " * (1 << 20), "{}" * (1 << 20) + "x"])
def test_hostile_text_costs_nothing(text):
    started = time.process_time()
    settle(text)
    streamed([text])
    assert time.process_time() - started < 2


def test_long_blanks_cost_nothing():
    arguments = Arguments(is_live=True)
    for _ in range(100_000):
        arguments.feed("\n")
    arguments.feed("{")
    for _ in range(100_000):
        arguments.feed("\n")
    assert '{"a":1}' == arguments.feed('"a":1}')


@settings(max_examples=100, deadline=None)
@given(OBJECTS, st.integers(1, 5), st.booleans())
def test_any_object_in_any_pieces_arrives(value, size, is_live):
    text = json.dumps(value, ensure_ascii=False)
    assert value == json.loads(streamed(pieces_of(text, size), is_live=is_live) or "{}")


@settings(max_examples=100, deadline=None)
@given(st.text('{}[]":\\, a1`\n', max_size=30), st.integers(1, 5))
def test_any_text_becomes_an_object_for_the_client(text, size):
    assert isinstance(settled(text), dict)
    assert isinstance(settled(text, repair=True), dict)
    for is_live in (True, False):
        given = streamed(pieces_of(text, size), is_live=is_live)
        assert isinstance(parse_tool_input(given or "{}"), dict)


@settings(max_examples=100, deadline=None)
@given(VALUES.filter(lambda value: isinstance(value, str | dict | list)), st.integers(1, 4))
def test_scanner_finds_the_end_in_any_pieces(value, size):
    text = json.dumps(value)
    scanner = JSONScanner()
    ends = [scanner.feed(piece) for piece in pieces_of(text, size)]
    assert {-1} >= set(ends[:-1])
    assert len(pieces_of(text, size)[-1]) == ends[-1]
    assert "" == scanner.missing_tail
