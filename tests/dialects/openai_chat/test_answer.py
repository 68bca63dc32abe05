"""One answer from its first chunk to its end or failure: identity, nesting, limits of damage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.dialects.openai_chat.answer import Answer
from llmproxyd.dialects.openai_chat.errors import ErrorTranslator
from llmproxyd.errors import TimedOut
from tests.dialects.openai_chat.calls import encoded
from tests.dialects.openai_chat.upstream import chunk, decode, event, make_call, said

TOO_DEEP = "[test] upstream sent JSON that is nested too deeply"


def answer(**more):
    call = make_call()
    request = encoded(b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}')
    return Answer(call, request, ErrorTranslator(call, request), **{"is_whole": False} | more)


def payload(data):
    return data.removeprefix(b"data: ").strip()


def test_nothing_is_written_before_the_first_chunk():
    made = answer()
    assert [] == made.take_frames()
    assert made.usage is None
    assert not made.has_ending


def test_role_begins_the_message():
    made = answer()
    made.take(payload(chunk({"role": "assistant", "content": ""})))
    assert ["message_start"] == [frame.event for frame in made.take_frames()]


def test_chunks_after_the_end_are_ignored():
    made = answer()
    made.take(payload(said("x")))
    made.end()
    made.take_frames()
    for _ in range(2):
        made.take(payload(said("y")))
        made.refuse(b'{"error":"x"}')
        made.cut()
        made.end()
    assert [] == made.take_frames()
    assert made.is_done
    assert made.failure is None


def test_first_failure_counts():
    made = answer()
    made.fail(TimedOut("first"))
    made.fail(TimedOut("second"))
    made.end()
    assert "first" == made.failure.message
    assert made.is_over
    assert not made.is_done


def test_failure_after_an_ending_without_output_is_a_clean_end():
    made = answer()
    made.take(payload(chunk({}, "stop")))
    assert made.has_ending
    made.fail(TimedOut("late"))
    assert made.is_done
    assert made.failure is None


@pytest.mark.parametrize("depth", range(300, 1300, 100))
@pytest.mark.parametrize(
    "shape",
    [
        '{{"choices":[{{"delta":{{"reasoning_details":{}}}}}]}}',
        '{{"choices":[{{"delta":{{"function_call":{{"name":"f","arguments":{}}}}}}}]}}',
        '{{"error":{{"message":{}}}}}',
        '{{"detail":{}}}',
        '{{"choices":[{{"delta":{{}},"logprobs":"\\ud800","x":{}}}]}}',
    ],
    ids=["reasoning", "arguments", "error", "detail", "slow-path"],
)
def test_deep_nesting_is_no_exception(shape, depth):
    data = shape.format("[" * depth + "]" * depth).encode()
    made = answer()
    made.take(data)
    made.refuse(data)
    made.end()
    assert made.is_over


def test_nesting_beyond_reason_is_a_failure():
    made = answer()
    made.refuse(b'{"error":' + b"[" * 100_000)
    assert made.failure is not None
    deep = b'{"choices":[{"delta":{"reasoning":' + b"[" * 5000 + b"]" * 5000 + b"}}]}"
    answered = decode(b"data: " + deep + b"\n\n")
    assert answered.failure.status == 502


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("choices", "delta", "message", "content", "tool_calls", "function", "name"),
                    *("arguments", "index", "id", "finish_reason", "usage", "error", "reasoning"),
                    *("reasoning_details", "text", "type", "detail", "loc", "code", "status"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(JSON_VALUES, max_size=4))
def test_any_json_is_an_answer_or_a_failure(values):
    decoded = decode(*(event(value) for value in values))
    assert decoded.decoder.is_done != (decoded.decoder.failure is not None)
    whole = decode(event(values[0])[6:] if values else b"", content_type="application/json")
    assert whole.decoder.is_done != (whole.decoder.failure is not None)
