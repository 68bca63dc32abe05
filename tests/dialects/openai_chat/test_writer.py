"""Blocks are written one after another, each with what it needs."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.finish import Ending
from llmproxyd.dialects.openai_chat.writer import BlockWriter
from llmproxyd.wire.usage import Usage
from tests.dialects.openai_chat import grammar
from tests.dialects.openai_chat.upstream import make_call


def writer(**fields):
    made = BlockWriter(make_call(), Encoded(body=b"", **{"wants_thinking": True} | fields))
    made.start("msg_" + "0" * 24, "m", Usage())
    return made


def written(made):
    made.close()
    made.finish(Ending(stop_reason="tool_use" if made.has_tool_use else "end_turn"), Usage())
    events = grammar.parse(b"".join(frame.wire for frame in made.take_frames()))
    grammar.check(events)
    return grammar.aggregate(events)["content"]


def test_frames_are_handed_over_once():
    made = writer()
    assert 1 == len(made.take_frames())
    assert [] == made.take_frames()


def test_state_is_told():
    made = BlockWriter(make_call(), Encoded(body=b""))
    assert not made.is_started
    made.start("msg_" + "0" * 24, "m", Usage())
    assert made.is_started
    assert not made.has_blocks
    assert made.matched_stop is None
    made.text("x")
    assert made.has_blocks
    assert made.has_text
    assert not made.has_tool_use
    made.open_tool("a", "f")
    assert made.has_tool_use


def test_blocks_close_each_other():
    made = writer()
    made.thinking("r")
    made.text("t")
    made.open_tool("a", "f")
    made.tool_input('{"a":1}')
    made.close_tool()
    made.thinking("s")
    made.open_tool("b", "f")
    kinds = [block["type"] for block in written(made)]
    assert ["thinking", "text", "tool_use", "thinking", "tool_use"] == kinds


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["\n", "a"], ["a"]),
        (["\r\n", "\n  a\n"], ["  a\n"]),
        ([" ", "\n"], []),
        (["a", " ", "\n"], ["a \n"]),
        (["\u2003", "a"], ["\u2003a"]),
    ],
)
def test_leading_newlines_and_blank_text(pieces, expected):
    made = writer()
    for piece in pieces:
        made.text(piece)
    assert expected == [block["text"] for block in written(made)]


def test_matched_stop_is_told():
    made = writer(proxy_stops=("END",))
    made.text("a")
    assert made.matched_stop is None
    made.text("END")
    assert "END" == made.matched_stop
    assert ["a"] == [block["text"] for block in written(made)]
