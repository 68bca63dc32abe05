"""The queue of blocks by itself; whole streams are in `test_repair.py`."""

from __future__ import annotations

import json
import re

import pytest

from llmproxyd.dialects.anthropic.blocks import BlockQueue
from llmproxyd.wire.signature import sign
from tests.dialects.anthropic.calls import (
    block_start,
    block_stop,
    counting_entropy,
    signature,
    text,
    thinking,
    tool_input,
)


def make_queue(*history_ids: str) -> BlockQueue:
    return BlockQueue(lambda: set(history_ids), counting_entropy())


def play(queue: BlockQueue, *events):
    """Feed events; return what the client gets in short: (index, what, words)."""
    frames = [frame for event in events for frame in queue.apply(event)]
    return [short(json.loads(frame.data)) for frame in frames]


def short(payload):
    match payload["type"]:
        case "content_block_start":
            return payload["index"], "start", payload["content_block"]["type"]
        case "content_block_delta":
            (words,) = [value for key, value in payload["delta"].items() if key != "type"]
            return payload["index"], "delta", words
        case kind:
            return payload["index"], kind.removeprefix("content_block_"), ""


def test_blocks_in_order_pass_as_they_come():
    queue = make_queue()

    assert [(0, "start", "text"), (0, "delta", "a")] == play(queue, block_start(0), text(0, "a"))
    assert [(0, "stop", "")] == play(queue, block_stop(0))


def test_indices_are_renumbered():
    got = play(
        make_queue(), block_start(3), text(3, "a"), block_stop(3), block_start(7), text(7, "b")
    )

    assert [0, 0, 0, 1, 1] == [index for index, _, _ in got]


def test_a_block_that_overlaps_text_closes_it_once_it_speaks():
    queue = make_queue()
    play(queue, block_start(0, "thinking"), thinking(0, "why"))

    assert [] == play(queue, block_start(1))
    assert [
        (0, "delta", sign("why")),
        (0, "stop", ""),
        (1, "start", "text"),
        (1, "delta", "b"),
    ] == play(queue, text(1, "b"))
    assert [] == play(queue, signature(0, ""), block_stop(0))
    assert [(1, "stop", "")] == play(queue, block_stop(1))


def test_a_tool_call_waits_for_the_end_of_an_overlapped_one():
    queue = make_queue()
    play(queue, block_start(0, "tool_use"), tool_input(0, '{"a":'))

    assert [] == play(queue, block_start(1, "tool_use"), tool_input(1, '{"b":2}'), block_stop(1))
    assert [
        (0, "delta", "1}"),
        (0, "stop", ""),
        (1, "start", "tool_use"),
        (1, "delta", '{"b":2}'),
        (1, "stop", ""),
    ] == play(queue, tool_input(0, "1}"))


def test_a_tool_call_without_arguments_is_closed_by_its_stop_only():
    queue = make_queue()
    play(queue, block_start(0, "tool_use"))

    assert [] == play(queue, block_start(1), text(1, "b"))
    assert [(0, "stop", ""), (1, "start", "text"), (1, "delta", "b")] == play(queue, block_stop(0))


def test_words_for_a_closed_text_block_open_another():
    queue = make_queue()
    play(queue, block_start(0), text(0, "a"), block_start(1, "thinking"), thinking(1, "r"))

    got = play(queue, text(0, "c"))

    assert [
        (1, "delta", sign("r")),
        (1, "stop", ""),
        (2, "start", "text"),
        (2, "delta", "c"),
    ] == got


def test_input_for_a_closed_tool_call_is_dropped():
    queue = make_queue()
    play(queue, block_start(0, "tool_use"), tool_input(0, "{}"), block_stop(0))

    assert [] == play(queue, tool_input(0, "x"), text(0, "y"), block_stop(0))


@pytest.mark.parametrize("words", [[], [""], [" "], ["\n", "\n "]])
def test_text_without_words_is_no_block(words):
    queue = make_queue()

    assert [] == play(queue, block_start(0), *(text(0, word) for word in words), block_stop(0))
    assert queue.is_empty


def test_white_space_before_words_is_kept():
    got = play(make_queue(), block_start(0), text(0, "\n"), text(0, ""), text(0, "a"))

    assert [(0, "start", "text"), (0, "delta", "\n"), (0, "delta", "a")] == got


def test_thinking_is_signed_by_us_if_nobody_did():
    got = play(make_queue(), block_start(0, "thinking"), thinking(0, "r"), block_stop(0))

    assert (0, "delta", sign("r")) == got[-2]


def test_a_signature_of_the_backend_is_kept():
    got = play(
        make_queue(),
        block_start(0, "thinking"),
        thinking(0, "r"),
        signature(0, "EqQ"),
        signature(0, "B"),
        block_stop(0),
    )

    assert [(0, "delta", "EqQB"), (0, "stop", "")] == got[-2:]


def test_a_signature_alone_is_a_block():
    got = play(make_queue(), block_start(0, "thinking"), signature(0, "EqQ"), block_stop(0))

    assert [(0, "start", "thinking"), (0, "delta", "EqQ"), (0, "stop", "")] == got


def test_thinking_without_anything_is_no_block():
    assert [] == play(make_queue(), block_start(0, "thinking"), block_stop(0))


def test_thinking_inside_a_text_block_gets_a_block_of_its_own():
    got = play(
        make_queue(), block_start(0), thinking(0, "r"), text(0, "a"), text(0, "b"), block_stop(0)
    )

    assert [
        (0, "start", "thinking"),
        (0, "delta", "r"),
        (0, "delta", sign("r")),
        (0, "stop", ""),
        (1, "start", "text"),
        (1, "delta", "a"),
        (1, "delta", "b"),
        (1, "stop", ""),
    ] == got


def test_deltas_without_a_start_open_a_block():
    assert [(0, "start", "text"), (0, "delta", "a")] == play(make_queue(), text(0, "a"))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (block_start(0, text="hi"), [(0, "start", "text"), (0, "delta", "hi")]),
        (
            block_start(0, "thinking", thinking="r", signature="EqQ"),
            [(0, "start", "thinking"), (0, "delta", "r"), (0, "delta", "EqQ")],
        ),
        (
            block_start(0, "tool_use", input={"a": 1}),
            [(0, "start", "tool_use"), (0, "delta", '{"a":1}')],
        ),
        (
            block_start(0, "tool_use", input='{"a":1}'),
            [(0, "start", "tool_use"), (0, "delta", '{"a":1}')],
        ),
        (block_start(0, "tool_use", input=None), [(0, "start", "tool_use")]),
    ],
)
def test_what_a_start_holds_goes_into_deltas(start, expected):
    queue = make_queue()

    frames = [*queue.apply(start), *queue.apply(block_stop(0))]

    assert [*expected, (0, "stop", "")] == [short(json.loads(frame.data)) for frame in frames]
    head = json.loads(frames[0].data)["content_block"]
    assert {"text": "", "thinking": "", "signature": "", "input": {}}.items() >= {
        key: value for key, value in head.items() if key not in ("type", "id", "name")
    }.items()


def test_input_in_the_start_gives_way_to_deltas():
    queue = make_queue()
    got = play(
        queue, block_start(0, "tool_use", input={"a": 1}), tool_input(0, '{"b":2}'), block_stop(0)
    )

    assert [(0, "delta", '{"b":2}'), (0, "stop", "")] == got[1:]


@pytest.mark.parametrize("given", ["", None, "functions.Bash:0", "a b", "x" * 65, "known", 5])
def test_a_bad_or_known_tool_id_is_replaced(given):
    queue = make_queue("known")

    (frame,) = queue.apply(block_start(0, "tool_use", id=given))

    tool_id = json.loads(frame.data)["content_block"]["id"]
    assert re.fullmatch(r"toolu_[A-Za-z0-9]{24}", tool_id)


def test_a_tool_id_is_used_once_in_an_answer():
    queue = make_queue()
    events = [block_start(0, "tool_use", id="call_0"), block_stop(0)]
    events += [block_start(1, "tool_use", id="call_0"), block_stop(1)]

    frames = [queue.apply(events[0])[0], *queue.apply(events[1]), queue.apply(events[2])[0]]

    ids = [json.loads(frame.data).get("content_block", {}).get("id") for frame in frames]
    assert "call_0" == ids[0]
    assert ids[2] not in ("call_0", None)


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_tool_call_without_a_name_is_left_out(name):
    queue = make_queue()

    got = play(queue, block_start(0, "tool_use", name=name), tool_input(0, "{}"), block_stop(0))

    assert [] == got
    assert queue.has_nameless_tool
    assert not queue.has_tool


@pytest.mark.parametrize("block", [{"type": "hologram"}, {}, None, {"type": ["text"]}])
def test_unknown_blocks_are_left_out(block):
    queue = make_queue()
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "glow", "light": 1}}

    assert [] == play(queue, start, delta, block_stop(0))


@pytest.mark.parametrize(
    "kind",
    ["redacted_thinking", "web_search_tool_result", "mcp_tool_result", "compaction", "fallback"],
)
def test_known_blocks_pass_as_they_are(kind):
    start = {
        "type": "content_block_start",
        "index": 0,
        "x": 1,
        "content_block": {"type": kind, "y": [2]},
    }

    (frame,) = make_queue().apply(start)

    assert start == json.loads(frame.data)


def test_server_tools_keep_their_ids():
    start = block_start(0, "server_tool_use", id="srvtoolu_1", name="web_search", input={})

    (frame,) = make_queue("srvtoolu_1").apply(start)

    assert start == json.loads(frame.data)


def test_unknown_fields_of_known_events_survive():
    queue = make_queue()
    start = {**block_start(0, citations=[]), "new": 1}
    delta = {**text(0, "a"), "new": {"b": 2}}
    stop = {**block_stop(0), "new": 3}

    frames = [*queue.apply(start), *queue.apply(delta), *queue.apply(stop)]

    assert [start, delta, stop] == [json.loads(frame.data) for frame in frames]


def test_a_citation_waits_for_the_words_and_passes():
    queue = make_queue()
    citation = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "citations_delta", "citation": {"n": 1}},
    }

    got = play(queue, block_start(0), citation, text(0, "a"))

    assert [(0, "start", "text"), (0, "delta", {"n": 1}), (0, "delta", "a")] == got


@pytest.mark.parametrize(
    "delta", [None, 5, {}, {"type": "text_delta"}, {"type": "text_delta", "text": 5}]
)
def test_odd_deltas_are_dropped(delta):
    queue = make_queue()
    play(queue, block_start(0), text(0, "a"))

    assert [] == play(queue, {"type": "content_block_delta", "index": 0, "delta": delta})


def test_a_reused_upstream_index_is_another_block():
    got = play(
        make_queue(), block_start(0), text(0, "a"), block_stop(0), block_start(0), text(0, "b")
    )

    assert [(1, "start", "text"), (1, "delta", "b")] == got[-2:]


def test_finishing_closes_what_is_open():
    queue = make_queue()
    play(queue, block_start(0), text(0, "a"))

    assert [(0, "stop", "")] == [short(json.loads(frame.data)) for frame in queue.finish()]


@pytest.mark.parametrize(
    ("parts", "is_broken"), [([], False), (['{"a":1}'], False), (['{"a":'], True), (["[1]"], True)]
)
def test_a_tool_call_left_open_is_broken_unless_whole(parts, is_broken):
    queue = make_queue()
    play(queue, block_start(0, "tool_use"), *(tool_input(0, part) for part in parts))

    assert is_broken == queue.has_broken_tool


def test_words_are_kept_for_counting():
    queue = make_queue()
    play(queue, block_start(0), text(0, "a"), block_stop(0))
    play(queue, block_start(1, "tool_use", input={"a": 1}), block_stop(1))

    assert ["a", '{"a":1}'] == queue.pieces


def test_an_empty_block_between_does_not_hold_others_back():
    queue = make_queue()
    play(queue, block_start(0, "thinking"), thinking(0, "r"), block_start(1))

    got = play(queue, block_start(2, "tool_use"))

    assert [(0, "delta", sign("r")), (0, "stop", ""), (1, "start", "tool_use")] == got
