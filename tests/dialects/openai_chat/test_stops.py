"""Stop sequences matched by the proxy (section 1.8, case R20)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.dialects.openai_chat.stops import StopMatcher
from tests.dialects.openai_chat.upstream import (
    DONE,
    USAGE,
    called,
    chunk,
    decode,
    feed,
    head,
    make_exchange,
    said,
    text_block,
    thinking_block,
    thought,
    tool_block,
)

IN_PROXY = {"stop_mode": "proxy"}


def match(stops, pieces):
    matcher = StopMatcher(stops)
    shown = "".join(matcher.feed(piece) for piece in pieces)
    return shown + matcher.flush(), matcher.matched


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        (("END",), "one END two", ("one ", "END")),
        (("END",), "one EN two", ("one EN two", None)),
        (("END",), "one EN", ("one EN", None)),
        (("END",), "ENEND", ("EN", "END")),
        (("b", "abc"), "xabc", ("xa", "b")),
        (("abc", "bc"), "xabc", ("x", "abc")),
        (("bc", "abc"), "xabc", ("x", "abc")),
        (("aab",), "aaab", ("a", "aab")),
        (("\n\nHuman:",), "x\n\nHuman: y", ("x", "\n\nHuman:")),
    ],
)
def test_match_does_not_depend_on_the_pieces(stops, text, expected):
    assert expected == match(stops, [text])
    assert expected == match(stops, text)
    assert expected == match(stops, [text[:2], text[2:]])


def test_text_that_can_be_in_no_match_is_not_held_back():
    matcher = StopMatcher(("</block>",))
    pieces = ("plain", " <", "/", "b", "x")
    assert ["plain", " ", "", "", "</bx"] == [matcher.feed(piece) for piece in pieces]


def test_nothing_is_shown_after_a_match():
    matcher = StopMatcher(("END",))
    assert "a" == matcher.feed("aEND b")
    assert "" == matcher.feed("c")
    assert "" == matcher.flush()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("ab<", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.text("ab<", max_size=5), max_size=8),
)
def test_any_pieces_match_like_the_whole(stops, pieces):
    assert match(tuple(stops), ["".join(pieces)]) == match(tuple(stops), pieces)


def test_r20_fifth_stop_sequence_is_matched_here_and_closes_the_upstream():
    stops = ["1st", "2nd", "3rd", "4th", "5th", "\n"]
    exchange = make_exchange(body={"stop_sequences": stops})
    answer = feed(exchange.decoder(head()), [said("ab5"), said("thcd"), said("more")])
    message = answer.message
    assert [text_block("ab")] == answer.content
    assert ("stop_sequence", "5th") == (message["stop_reason"], message["stop_sequence"])
    assert answer.decoder.is_done
    assert answer.decoder.usage.is_estimated


def decode_with_stop(*pieces):
    return decode(*pieces, flags=IN_PROXY, body={"stop_sequences": ["END"]})


def test_what_was_held_back_is_shown_at_the_end():
    assert [text_block("one EN")] == decode_with_stop(said("one EN"), DONE).content


def test_stop_sequence_is_not_found_in_thinking():
    answer = decode_with_stop(thought("END"), said("x"), DONE)
    assert [thinking_block("END"), text_block("x")] == answer.content


def test_stop_sequence_does_not_reach_over_a_block():
    answer = decode_with_stop(said("a EN"), called("{}", name="Bash"), said("D"), DONE)
    assert [text_block("a EN"), tool_block({}), text_block("D")] == answer.content


def test_match_drops_what_follows_in_the_same_chunk():
    delta = {"content": "aEND", "tool_calls": [{"index": 0, "function": {"name": "Bash"}}]}
    answer = decode_with_stop(chunk(delta), DONE)
    assert [text_block("a")] == answer.content
    assert "stop_sequence" == answer.message["stop_reason"]


def test_match_drops_a_refusal_and_half_a_tag_behind_it():
    answer = decode_with_stop(chunk({"content": "aEND", "refusal": "no"}), DONE)
    assert [text_block("a")] == answer.content
    answer = decode_with_stop(chunk({"content": "<think>r</", "refusal": "xEND"}), DONE)
    assert [thinking_block("r"), text_block("x")] == answer.content


def test_usage_beside_the_match_counts():
    answer = decode_with_stop(chunk({"content": "aEND"}, usage=USAGE))
    assert 3 == answer.message["usage"]["output_tokens"]
    assert not answer.decoder.usage.is_estimated


def test_match_at_the_beginning_leaves_no_block():
    answer = decode_with_stop(said(" END"), DONE)
    assert [] == answer.content
    assert "stop_sequence" == answer.message["stop_reason"]


def test_match_behind_a_call_keeps_the_call():
    answer = decode_with_stop(called('{"a":1}', name="Bash"), said("xEND"), said("y"), DONE)
    assert [tool_block({"a": 1}), text_block("x")] == answer.content
    assert "tool_use" == answer.message["stop_reason"]


def test_match_in_text_that_waited_drops_the_calls_behind_it():
    answer = decode_with_stop(
        called('{"a":', name="Bash"),
        said("xEND"),
        called('{"b":2}', name="Read", index=1),
        called("1}"),
        DONE,
    )
    assert [tool_block({"a": 1}), text_block("x")] == answer.content


def test_match_in_text_that_waited_to_the_end():
    answer = decode_with_stop(
        called('{"a":', name="Bash"), said("xEND"), called('{"b":2}', name="Read", index=1), DONE
    )
    assert "SUuETtEDZ" == answer.word
