from __future__ import annotations

import itertools
import json
import re

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmproxyd.cache.ids import RecentIds
from llmproxyd.dialects.anthropic.repair import RepairedStream
from llmproxyd.errors import BrokeProtocol, Rejected
from llmproxyd.wire import sse as sse_module
from llmproxyd.wire.fold import fold
from llmproxyd.wire.frames import PING_WIRE
from llmproxyd.wire.tokens import estimate_prompt_tokens
from llmproxyd.wire.usage import Usage
from tests.dialects.anthropic.calls import (
    SSE,
    STOP,
    block_start,
    block_stop,
    imitated,
    message_delta,
    message_start,
    signature,
    sse,
    text,
    thinking,
    tool_input,
)
from tests.dialects.anthropic.legality import assert_legal

TEXT = (block_start(0), text(0, "hi"), block_stop(0))
TOOL = (block_start(1, "tool_use"), tool_input(1, '{"a":1}'), block_stop(1))
PLAIN = (message_start(), *TEXT, message_delta(), STOP)


def decode(raw, call=None):
    """Feed a whole stream; the frames are always legal, complete only if it did not fail."""
    stream = RepairedStream(call or imitated(), SSE)
    frames = stream.feed(raw) + stream.end()
    assert_legal(frames, is_complete=stream.failure is None)
    assert stream.is_done == (stream.failure is None)
    return stream, frames


def answer(raw, call=None):
    """The message that a client makes of a stream."""
    stream, frames = decode(raw, call)
    assert stream.failure is None
    return json.loads(fold(frames))


def failure(raw):
    stream, _ = decode(raw)
    return stream.failure


def test_a_sound_stream_keeps_its_content():
    message = answer(sse(message_start(), *TEXT, *TOOL, message_delta("tool_use"), STOP))

    assert [
        {"type": "text", "text": "hi"},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"a": 1}},
    ] == message["content"]
    assert "tool_use" == message["stop_reason"]


def test_invariant_1_every_answer_has_a_fresh_id():
    call = imitated()

    ids = {answer(sse(*PLAIN), call)["id"] for _ in range(50)}

    assert 50 == len(ids)
    assert all(re.fullmatch(r"msg_[A-Za-z0-9]{24}", message_id) for message_id in ids)


def test_the_model_is_the_one_that_was_asked_for():
    assert "asked" == answer(sse(*PLAIN))["model"]


def test_invariant_2_a_tool_id_of_the_history_is_not_repeated():
    history = [
        "odd",
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": ["odd", {"type": "tool_use", "id": "toolu_1"}]},
    ]
    raw = sse(message_start(), *TOOL, message_delta("tool_use"), STOP)

    (tool,) = answer(raw, imitated({"messages": history}))["content"]

    assert "toolu_1" != tool["id"]


@pytest.mark.parametrize(
    "body", [b'{"model":"asked","stream":true,"x":"\xff"}', b'{"model":"asked","messages":5}']
)
def test_a_history_that_can_not_be_read_has_no_tool_ids(body):
    raw = sse(message_start(), *TOOL, message_delta("tool_use"), STOP)

    (tool,) = answer(raw, imitated(body))["content"]

    assert "toolu_1" == tool["id"]


def test_invariant_3_overlapping_blocks_are_put_in_sequence():
    raw = sse(
        message_start(),
        block_start(0, "thinking"),
        thinking(0, "r"),
        block_start(1),
        text(1, "a"),
        signature(0, ""),
        block_stop(0),
        block_stop(1),
        message_delta(),
        STOP,
    )

    kinds = [block["type"] for block in answer(raw)["content"]]

    assert ["thinking", "text"] == kinds


def test_invariant_4_empty_text_is_no_block():
    raw = sse(
        message_start(),
        block_start(0),
        text(0, "\n\n"),
        block_stop(0),
        *TOOL,
        message_delta("tool_use"),
        STOP,
    )

    assert ["tool_use"] == [block["type"] for block in answer(raw)["content"]]


STOP_REASONS = [
    ("end_turn", False, "end_turn"),
    ("end_turn", True, "tool_use"),
    ("tool_use", False, "end_turn"),
    ("tool_use", True, "tool_use"),
    ("stop_sequence", False, "stop_sequence"),
    ("stop_sequence", True, "tool_use"),
    ("max_tokens", False, "max_tokens"),
    ("max_tokens", True, "max_tokens"),
    ("refusal", True, "refusal"),
    ("pause_turn", False, "pause_turn"),
    ("model_context_window_exceeded", False, "model_context_window_exceeded"),
    ("stop", False, "end_turn"),
    ("tool_calls", True, "tool_use"),
    ("length", False, "max_tokens"),
    ("content_filter", False, "refusal"),
    ("mystery", False, "end_turn"),
    ("mystery", True, "tool_use"),
    (None, False, "end_turn"),
    (None, True, "tool_use"),
    ("", False, "end_turn"),
    (17, False, "end_turn"),
]


@pytest.mark.parametrize(("given", "has_tool", "expected"), STOP_REASONS)
def test_invariants_5_and_7_the_stop_reason_is_known_and_fits_the_blocks(given, has_tool, expected):
    blocks = TEXT + TOOL if has_tool else TEXT

    message = answer(sse(message_start(), *blocks, message_delta(given), STOP))

    assert expected == message["stop_reason"]


def test_a_stop_sequence_is_told_only_with_its_reason():
    ending = message_delta("stop_sequence")
    ending["delta"]["stop_sequence"] = "END"

    alone = answer(sse(message_start(), *TEXT, ending, STOP))
    with_tool = answer(sse(message_start(), *TOOL, ending, STOP))

    assert ("stop_sequence", "END") == (alone["stop_reason"], alone["stop_sequence"])
    assert ("tool_use", None) == (with_tool["stop_reason"], with_tool["stop_sequence"])


@pytest.mark.parametrize("reason", ["error", "abort", "network_error"])
def test_a_failed_answer_is_no_clean_end(reason):
    assert isinstance(
        failure(sse(message_start(), *TEXT, message_delta(reason), STOP)), BrokeProtocol
    )


CUT = {
    "empty": b"",
    "comments": b": hi\n\n",
    "start only": sse(message_start()),
    "open block": sse(message_start(), *TEXT[:2]),
    "closed block": sse(message_start(), *TEXT),
    "no reason yet": sse(message_start(), *TEXT, message_delta(None)),
    "half an event": sse(message_start(), *TEXT) + b'event: message_delta\ndata: {"type":"mess',
    "nothing but an end": sse(message_start(), STOP),
    "reason without content": sse(message_start(), message_delta(None), STOP),
    "inside a tool call": sse(
        message_start(),
        block_start(0, "tool_use"),
        tool_input(0, '{"a'),
        message_delta("tool_use"),
        STOP,
    ),
    "nameless tool call": sse(
        message_start(), block_start(0, "tool_use", name=""), message_delta("tool_use"), STOP
    ),
}


@pytest.mark.parametrize("raw", CUT.values(), ids=CUT)
def test_invariant_6_a_cut_stream_has_no_clean_end(raw):
    stream, frames = decode(raw)

    assert isinstance(stream.failure, BrokeProtocol)
    assert not {"message_delta", "message_stop"} & {frame.event for frame in frames}
    if raw != CUT["closed block"] and "content_block_stop" in [f.event for f in frames]:
        assert b"content_block_stop" in raw


def test_a_missing_message_stop_is_completed():
    message = answer(sse(*PLAIN[:-1]))

    assert "end_turn" == message["stop_reason"]


def test_a_missing_message_delta_is_completed():
    message = answer(sse(message_start(), *TEXT, STOP))

    assert "end_turn" == message["stop_reason"]
    assert 7 == message["usage"]["input_tokens"]


def test_a_missing_message_start_is_completed():
    assert "hi" == answer(sse(*PLAIN[1:]))["content"][0]["text"]


def test_a_missing_block_stop_is_completed():
    assert (
        "hi" == answer(sse(message_start(), *TEXT[:2], message_delta(), STOP))["content"][0]["text"]
    )


def test_a_budget_that_ends_inside_a_tool_call_is_told_so():
    raw = sse(
        message_start(),
        block_start(0, "tool_use"),
        tool_input(0, '{"a'),
        message_delta("max_tokens"),
        STOP,
    )

    message = answer(raw)

    assert "max_tokens" == message["stop_reason"]
    assert '{"a' == message["content"][0]["input"]["__unparsedToolInput"]["raw"]


def test_an_answer_without_content_may_end_with_a_reason():
    assert [] == answer(sse(message_start(), message_delta("end_turn"), STOP))["content"]


def test_event_lines_are_added():
    raw = sse(*PLAIN, named=False) + b"data: [DONE]\n\n"

    assert "hi" == answer(raw)["content"][0]["text"]


def test_types_are_added():
    raw = b"".join(
        b"event: %b\ndata: %b\n\n"
        % (
            event["type"].encode(),
            json.dumps({k: v for k, v in event.items() if k != "type"}).encode(),
        )
        for event in PLAIN
    )

    assert "hi" == answer(raw)["content"][0]["text"]


def test_usage_is_always_told_in_full():
    start = message_start()
    del start["message"]["usage"]
    ending = message_delta()
    ending["usage"] = {"output_tokens": 5, "server_tool_use": {"web_search_requests": 1}}

    usage = answer(sse(start, *TEXT, ending, STOP))["usage"]

    assert {
        "input_tokens": 0,
        "output_tokens": 5,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "server_tool_use": {"web_search_requests": 1},
    } == usage


def test_counts_of_the_start_belong_to_the_usage_of_the_answer():
    stream, _ = decode(sse(message_start(cache_read_input_tokens=9), *TEXT, message_delta(), STOP))

    assert Usage(7, 5, 9, 0) == stream.usage


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_well_made_stream_passes_untouched(line_end):
    """White space, comments, line ends and the id of the backend survive, once."""
    events = [
        '{"type": "message_start", "message": {"id": "msg_01ABCDEFGHJKLMNPQRSTUV", '
        '"type": "message", "role": "assistant", "model": "claude-x", "content": [], '
        '"stop_reason": null, "stop_sequence": null, '
        '"usage": {"input_tokens": 3, "output_tokens": 1}}}',
        '{"type": "content_block_start", "index": 0, '
        '"content_block": {"type": "thinking", "thinking": "", "signature": ""}}',
        '{"type": "content_block_delta", "index": 0, '
        '"delta": {"type": "thinking_delta", "thinking": "hm"}}',
        '{"type": "content_block_delta", "index": 0, '
        '"delta": {"type": "signature_delta", "signature": "c2ln"}}',
        '{"type": "content_block_stop", "index": 0}',
        '{"type": "content_block_start", "index": 1, '
        '"content_block": {"type": "text", "text": ""}}',
        '{"type": "ping"}',
        '{"type": "content_block_delta", "index": 1, '
        '"delta": {"type": "text_delta", "text": "\\u00e9 \\n"}}',
        '{"type": "content_block_stop", "index": 1}',
        '{"type": "content_block_start", "index": 2, "content_block": '
        '{"type": "tool_use", "id": "toolu_01A", "name": "Bash", "input": {}}}',
        '{"type": "content_block_delta", "index": 2, '
        '"delta": {"type": "input_json_delta", "partial_json": ""}}',
        '{"type": "content_block_delta", "index": 2, '
        '"delta": {"type": "input_json_delta", "partial_json": "{\\"a\\": 1}"}}',
        '{"type": "content_block_stop", "index": 2}',
        '{"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, '
        '"usage": {"output_tokens": 9}}',
        '{"type": "message_stop"}',
    ]
    lines = [f": note\nevent: {json.loads(event)['type']}\ndata: {event}\n\n" for event in events]
    raw = "".join(lines).replace("\n", line_end).encode()
    call = msgspec.structs.replace(imitated({"model": "claude-x"}), claim_id=RecentIds().claim)

    first = b"".join(frame.wire for frame in RepairedStream(call, SSE).feed(raw))
    again = b"".join(frame.wire for frame in RepairedStream(call, SSE).feed(raw))

    assert raw == first
    assert b"msg_01ABCDEFGHJKLMNPQRSTUV" not in again


def test_usage_of_zeros_is_estimated():
    body = {"messages": [{"role": "user", "content": "hello " * 200}]}
    raw = sse(
        message_start(input_tokens=0, output_tokens=0), *TEXT, message_delta(output_tokens=0), STOP
    )

    stream, frames = decode(raw, imitated(body))

    assert stream.usage is not None
    assert stream.usage.is_estimated
    assert estimate_prompt_tokens(body) == stream.usage.input_tokens
    assert stream.usage.output_tokens > 0
    assert stream.usage.input_tokens == json.loads(frames[-2].data)["usage"]["input_tokens"]


def test_usage_behind_the_ending_still_counts():
    raw = sse(*PLAIN[:-1], message_delta(output_tokens=50), STOP)

    stream, _ = decode(raw)

    assert stream.usage is not None
    assert 50 == stream.usage.output_tokens


def test_pings_and_unknown_events_pass_once_the_answer_has_begun():
    new = {"type": "new_event", "x": 1}
    raw = sse({"type": "ping"}, new, message_start(), {"type": "ping"}, new, *PLAIN[1:])

    stream = RepairedStream(imitated(), SSE)
    frames = stream.feed(raw)

    assert ["message_start", "ping", "new_event"] == [frame.event for frame in frames[:3]]
    assert PING_WIRE == frames[1].wire
    assert new == json.loads(frames[2].data)


def test_a_second_message_start_is_ignored():
    assert "hi" == answer(sse(message_start(), *PLAIN))["content"][0]["text"]


@pytest.mark.parametrize("payload", [b"5", b"[]", b"null", b"", b" [DONE] ", b"{}"])
def test_payloads_that_say_nothing_are_ignored(payload):
    raw = sse(message_start()) + b"data: " + payload + b"\n\n" + sse(*PLAIN[1:])

    assert "hi" == answer(raw)["content"][0]["text"]


def test_unknown_fields_of_message_events_survive():
    start = {**message_start(), "a": 1}
    start["message"]["container"] = {"id": "c"}
    ending = {**message_delta(), "context_management": {"edits": []}}
    ending["delta"]["stop_details"] = None

    _, frames = decode(sse(start, *TEXT, ending, {**STOP, "z": 2}))

    assert 1 == json.loads(frames[0].data)["a"]
    assert {"id": "c"} == json.loads(frames[0].data)["message"]["container"]
    assert {"edits": []} == json.loads(frames[-2].data)["context_management"]
    assert "stop_details" in json.loads(frames[-2].data)["delta"]
    assert 2 == json.loads(frames[-1].data)["z"]


@pytest.mark.parametrize(
    "raw",
    [
        sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
        b'data: {"error":{"message":"busy","code":503}}\n\n',
        b'event: error\ndata: {"message":"busy","code":"529"}\n\n',
        b'error: {"message":"busy","code":503}\n\n',
    ],
)
@pytest.mark.parametrize("before", [b"", sse(message_start(), *TEXT)])
def test_an_error_event_is_a_failure_of_its_kind(before, raw):
    found = failure(before + raw)

    assert isinstance(found, Rejected)
    assert (529, "overloaded_error") == (found.status, found.kind)


@pytest.mark.parametrize(
    ("data", "words"), [(b"it broke", "it broke"), (b'"\xff"', '"\N{REPLACEMENT CHARACTER}"')]
)
def test_an_error_that_is_not_json_is_a_failure(data, words):
    found = failure(b"event: error\ndata: %b\n\n" % data)

    assert isinstance(found, Rejected)
    assert (500, f"[box] {words}") == (found.status, found.message)


def test_an_error_behind_the_ending_changes_nothing():
    raw = sse(*PLAIN[:-1], {"type": "error", "error": {"type": "api_error", "message": "x"}})

    assert "end_turn" == answer(raw)["stop_reason"]


@pytest.mark.parametrize(
    "raw",
    [
        b"event: content_block_delta\ndata: {broken\n\n",
        b'data: {"type":"ping","x":"\xff"}\n\n',  # not UTF-8 either
        b'data: {"id":"c","choices":[{"delta":{"content":"hi"}}]}\n\n',
    ],
)
def test_another_format_is_a_failure(raw):
    assert isinstance(failure(sse(message_start()) + raw), BrokeProtocol)


def test_an_ending_without_its_blank_line_is_read():
    assert "end_turn" == answer(sse(*PLAIN)[:-2])["stop_reason"]


def test_nothing_is_decoded_behind_the_end():
    stream, _ = decode(sse(*PLAIN, *PLAIN))

    assert [] == stream.feed(sse(*PLAIN))
    assert [] == stream.end()
    assert [] == stream.apply(message_start())


def test_nothing_is_decoded_behind_a_failure():
    raw = b"data: {broken\n\n" + sse(*PLAIN)

    stream, frames = decode(raw)

    assert frames == []
    assert [] == stream.feed(raw) + stream.end()


def test_an_endless_event_is_a_failure(monkeypatch):
    monkeypatch.setattr(sse_module, "MAX_EVENT_BYTES", 1000)
    stream = RepairedStream(imitated(), SSE)

    stream.feed(sse(message_start()) + b"data: " + b"x" * 2000)
    twin = RepairedStream(imitated(), SSE)
    twin.feed(b"data: " + b"x" * 2000)

    assert [] == stream.feed(b"y") + stream.end()
    assert isinstance(stream.failure, BrokeProtocol)
    assert [] == twin.end()
    assert isinstance(twin.failure, BrokeProtocol)


PIECES = [
    block_start(0),
    block_start(1),
    block_start(0, "thinking"),
    block_start(1, "tool_use", id="same"),
    block_start(2, "tool_use", id="same", input={"a": 1}),
    block_start(2, "redacted_thinking", data="x"),
    block_start(0, "hologram"),
    text(0, "a"),
    text(1, " "),
    text(2, "c"),
    thinking(0, "r"),
    thinking(1, "r"),
    signature(0, "s"),
    tool_input(1, '{"a":'),
    tool_input(1, "1}"),
    tool_input(2, "{}"),
    block_stop(0),
    block_stop(1),
    block_stop(2),
    message_start(),
    message_delta(None),
    message_delta("tool_use"),
    message_delta("max_tokens"),
    STOP,
    {"type": "ping"},
    {"type": "new_event"},
    {"type": "error", "error": {"type": "api_error", "message": "x"}},
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_any_events_in_any_order_give_a_legal_stream(events):
    decode(sse(*events))


@settings(max_examples=100)
@given(st.lists(st.sampled_from(PIECES), max_size=10), st.data())
def test_any_split_of_the_bytes_gives_the_same_frames(events, data):
    raw = sse(message_start(), *events)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=5)))
    whole, split = RepairedStream(imitated(), SSE), RepairedStream(imitated(), SSE)

    frames = [split.feed(raw[a:b]) for a, b in itertools.pairwise([0, *cuts, len(raw)])]

    assert whole.feed(raw) + whole.end() == [*itertools.chain(*frames), *split.end()]
    assert (whole.is_done, whole.usage, repr(whole.failure)) == (
        split.is_done,
        split.usage,
        repr(split.failure),
    )


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS = st.sampled_from(
    ["index", "delta", "content_block", "message", "usage", "type", "stop_reason", "id", "input"]
)


@settings(max_examples=300)
@example([(block_start(0), "type", "index", "\r")])
@given(st.lists(st.tuples(st.sampled_from(PIECES), FIELDS, FIELDS, JUNK), max_size=8))
def test_junk_in_any_field_is_no_exception(spoilt):
    events = []
    for piece, outer, inner, junk in spoilt:
        event = json.loads(json.dumps(piece))
        if isinstance(event.get(outer), dict):
            event[outer][inner] = junk
        else:
            event[outer] = junk
        events.append(
            b"event: %b\ndata: %b\n\n" % (piece["type"].encode(), json.dumps(event).encode())
        )

    decode(sse(message_start()) + b"".join(events))


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=20), max_size=5))
def test_garbage_is_no_exception(chunks):
    stream = RepairedStream(imitated(), SSE)
    for chunk in chunks:
        stream.feed(b"data: {" + chunk)

    stream.end()

    assert stream.failure is not None
