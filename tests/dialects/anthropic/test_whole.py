from __future__ import annotations

import json

import msgspec
import pytest

from llmproxyd.dialects.anthropic import whole
from llmproxyd.dialects.anthropic.whole import WholeAnswer
from llmproxyd.errors import BrokeProtocol, Rejected
from llmproxyd.wire.fold import fold
from llmproxyd.wire.signature import sign
from llmproxyd.wire.usage import Usage
from tests.dialects.anthropic.calls import JSON, imitated, make_call
from tests.dialects.anthropic.legality import assert_legal

MESSAGE = {
    "id": "msg_upstream",
    "type": "message",
    "role": "assistant",
    "model": "upstream-model",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 5, "cache_read_input_tokens": 2},
    "new_field": [1],
}
# What the older Python proxies send, whatever was asked for.
OLD_PROXY = {
    "id": "msg_1700000000",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "hi"}],
    "model": "qwen3-coder",
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 25},
}


def decode(body, call):
    answer = WholeAnswer(call, JSON)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert [] == answer.feed(raw[:10]) + answer.feed(raw[10:])
    assert not answer.is_done
    return answer, answer.end()


def folded(body, **request):
    answer, frames = decode(body, imitated(request))
    assert answer.failure is None
    assert answer.is_done
    return json.loads(fold(frames))


def test_a_genuine_message_passes_byte_for_byte():
    raw = json.dumps(MESSAGE, indent=3).encode() + b"\n"

    answer, frames = decode(raw, make_call({"stream": False}))

    assert [raw] == [frame.wire for frame in frames]
    assert Usage(7, 5, 2) == answer.usage
    assert answer.is_done


@pytest.mark.parametrize("call", [make_call(), imitated()])
def test_json_for_a_stream_is_unfolded_into_events(call):
    answer, frames = decode(OLD_PROXY, call)

    assert answer.failure is None
    assert_legal(frames)
    message = json.loads(fold(frames))
    assert ("asked", "end_turn") == (message["model"], message["stop_reason"])
    assert [{"type": "text", "text": "hi"}] == message["content"]
    assert Usage(10, 25) == answer.usage


def test_an_imitated_message_is_repaired_and_keeps_unknown_fields():
    message = folded(
        {**MESSAGE, "content": [{"type": "thinking", "thinking": "r"}, *MESSAGE["content"]]},
        stream=False,
    )

    assert [1] == message["new_field"]
    assert message["id"] != MESSAGE["id"]
    assert "asked" == message["model"]
    assert {"type": "thinking", "thinking": "r", "signature": sign("r")} == message["content"][0]
    assert 2 == message["usage"]["cache_read_input_tokens"]


def test_an_imitated_message_is_one_frame_for_a_request_without_stream():
    _, frames = decode(MESSAGE, imitated({"stream": False}))

    assert ["message"] == [frame.event for frame in frames]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("hi", [{"type": "text", "text": "hi"}]),
        (["hi", None, 5], [{"type": "text", "text": "hi"}]),
        ([{"type": "text", "text": " "}], []),
        ([{"type": "hologram"}], []),
        (
            [{"type": "tool_use", "id": "a", "name": "B", "input": '{"x":1}'}],
            [{"type": "tool_use", "id": "a", "name": "B", "input": {"x": 1}}],
        ),
        (
            [{"type": "tool_use", "id": "a", "name": "B"}],
            [{"type": "tool_use", "id": "a", "name": "B", "input": {}}],
        ),
        (
            [{"type": "text", "text": "a", "citations": [{"n": 1}]}],
            [{"type": "text", "text": "a", "citations": [{"n": 1}]}],
        ),
    ],
)
def test_odd_content_is_put_right(content, expected):
    assert expected == folded({**MESSAGE, "content": content})["content"]


@pytest.mark.parametrize(
    "usage", [None, 5, {}, {"output_tokens": None}, {"input_tokens": "x", "output_tokens": "y"}]
)
def test_odd_usage_is_put_right(usage):
    got = folded({**MESSAGE, "usage": usage})["usage"]

    assert all(isinstance(got[name], int) for name in ("input_tokens", "output_tokens"))


def test_a_tool_call_gets_its_stop_reason():
    content = [{"type": "tool_use", "id": "a", "name": "B", "input": {}}]

    assert "tool_use" == folded({**MESSAGE, "content": content})["stop_reason"]


def test_a_missing_stop_reason_is_filled():
    assert "end_turn" == folded({**MESSAGE, "stop_reason": None})["stop_reason"]


@pytest.mark.parametrize("call", [make_call({"stream": False}), imitated()])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"type":"message"',
        b'{"type":"\xff"}',  # not UTF-8
        b"[1]",
        b"{}",
        b'{"type":"message","content":5}',
        b'{"object":"chat.completion","choices":[]}',
        b"[" * 5000,
        b"\xff",
    ],
)
def test_what_is_no_message_is_a_failure(body, call):
    answer, frames = decode(body, call)

    assert frames == []
    assert isinstance(answer.failure, BrokeProtocol)
    assert not answer.is_done


@pytest.mark.parametrize("call", [make_call({"stream": False}), imitated()])
def test_an_error_in_a_good_answer_is_a_rejection(call):
    answer, frames = decode({"error": {"message": "m", "code": 429}}, call)

    assert frames == []
    assert isinstance(answer.failure, Rejected)
    assert 429 == answer.failure.status


def test_a_message_that_can_not_be_repaired_is_a_failure():
    answer, frames = decode({**MESSAGE, "stop_reason": "error"}, imitated())

    assert frames == []
    assert isinstance(answer.failure, BrokeProtocol)


def test_an_endless_body_is_a_failure(monkeypatch):
    monkeypatch.setattr(whole, "MAX_BODY_BYTES", 100)
    answer, frames = decode(b'{"content":"' + b"x" * 200, imitated())

    assert frames == []
    assert isinstance(answer.failure, BrokeProtocol)
    assert [] == answer.feed(b"y" * 200)


def test_sound_message_of_an_imitation_passes_untouched():
    body = (
        b'{"id": "msg_01ABCDEFGHJKLMNPQRSTUV", "type": "message", "role": "assistant", '
        b'"model": "asked", "content": [{"type": "text", "text": "\\u00e9"}], '
        b'"stop_reason": "end_turn", "stop_sequence": null, '
        b'"usage": {"input_tokens": 3, "output_tokens": 2}}'
    )
    call = msgspec.structs.replace(
        imitated({"model": "asked", "stream": False}), claim_id=lambda _id: True
    )
    decoder = WholeAnswer(call, JSON)
    decoder.feed(body)

    assert [body] == [frame.data for frame in decoder.end()]
