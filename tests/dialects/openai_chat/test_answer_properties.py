"""What holds for every answer, however odd and however cut."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.wire.fold import fold
from tests.dialects.openai_chat import grammar
from tests.dialects.openai_chat.calls import assistant, text, tool_result, tool_use, user
from tests.dialects.openai_chat.upstream import (
    DONE,
    USAGE,
    called,
    chunk,
    completion,
    decode,
    decode_json,
    event,
    feed,
    head,
    make_exchange,
    said,
    thought,
    usage_chunk,
)

TEXTS = st.sampled_from(
    [
        *(
            "a",
            "bc ",
            "\n",
            "\n\n",
            " ",
            "é",
            "😀\u2028",
            "<think>",
            "</think>",
            "<",
            "/think>",
            "END",
        )
    ]
)
ARGUMENTS = st.sampled_from(
    ["", "{}", '{"a":', "1", "}", '{"a":1}', '"x"', "nonsense", " ", "{", "null", "```json\n"]
)
CALLS = st.builds(
    called,
    st.none() | ARGUMENTS,
    name=st.none() | st.sampled_from(["", "Ba", "sh", "Bash", "read"]),
    call_id=st.none() | st.sampled_from(["", "a", "b", "used", "not valid"]),
    index=st.none() | st.integers(0, 2),
)
PIECES = st.one_of(
    st.builds(said, TEXTS),
    st.builds(thought, TEXTS),
    CALLS,
    CALLS,
    st.sampled_from(
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"refusal": "no"}),
            chunk({"content": "x", "reasoning": "r"}, usage=USAGE),
            chunk({"function_call": {"name": "Bash", "arguments": "{}"}}),
            event({"choices": []}),
            usage_chunk(),
            b": comment\n\n",
            b"data:\n\n",
        ]
    ),
)
ENDS = st.lists(
    st.sampled_from(
        [
            chunk({}, "stop"),
            chunk({}, "tool_calls"),
            chunk({}, "length"),
            chunk({}, "content_filter"),
            chunk({}, "error"),
            chunk({}, "banana"),
            event({"error": {"message": "x", "code": 503}}),
            event({"error": "x"}),
            b"data: {broken\n\n",
            usage_chunk(),
            DONE,
        ]
    ),
    max_size=3,
)
ANSWERS = st.builds(lambda pieces, ends: [*pieces, *ends], st.lists(PIECES, max_size=14), ENDS)
SETTINGS = st.fixed_dictionaries(
    {
        "flags": st.fixed_dictionaries(
            {},
            optional={
                "think_tags": st.sampled_from(["auto", "always_open", "off"]),
                "repair_args": st.booleans(),
                "stop_mode": st.just("proxy"),
                "reasoning_in": st.just("reasoning"),
            },
        ),
        "body": st.fixed_dictionaries(
            {
                "messages": st.just(
                    [user("hi"), assistant(text("ok"), tool_use("used")), user(tool_result("used"))]
                )
            },
            optional={
                "stop_sequences": st.just(["END"]),
                "thinking": st.sampled_from([None, {"type": "adaptive", "display": "omitted"}]),
            },
        ),
    }
)
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
many = settings(max_examples=150, deadline=None)


def cut(data, sizes):
    at, pieces = 0, []
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def outcome(answer):
    failure = answer.decoder.failure
    return (
        answer.wire,
        answer.decoder.is_done,
        failure and (failure.status, failure.kind, failure.message),
        answer.decoder.usage,
        answer.decoder.notes,
    )


@many
@given(ANSWERS, SETTINGS, st.lists(st.integers(0, 400), max_size=30), LINE_ENDS)
def test_split_of_the_bytes_makes_no_difference(pieces, call, sizes, line_end):
    data = b"".join(pieces).replace(b"\n", line_end)
    # `feed` stops reading when the answer is over, and so does the pipeline
    whole = feed(make_exchange(**call).decoder(head()), [data])
    split = feed(make_exchange(**call).decoder(head()), cut(data, sizes))
    assert outcome(whole) == outcome(split)


@many
@given(ANSWERS, SETTINGS)
def test_every_stream_is_legal(pieces, call):
    answer = decode(*pieces, **call)
    is_whole = answer.decoder.failure is None
    assert is_whole == answer.decoder.is_done
    grammar.check(answer.events, is_whole=is_whole, history={"used"})
    if is_whole:
        assert answer.message == json.loads(fold(answer.frames))


@many
@given(
    st.lists(st.binary(max_size=40), max_size=8),
    st.sampled_from(["", "text/event-stream", "application/json", "text/html"]),
)
def test_garbage_raises_nothing(pieces, content_type):
    answer = decode(*pieces, content_type=content_type)
    grammar.check(answer.events, is_whole=answer.decoder.failure is None)


@many
@given(ANSWERS, SETTINGS, st.lists(st.tuples(st.integers(0), st.binary(max_size=3)), max_size=6))
def test_damaged_streams_raise_nothing_and_stay_legal(pieces, call, damages):
    data = bytearray(b"".join(pieces))
    for offset, replacement in damages:
        at = offset % (len(data) + 1)
        data[at : at + len(replacement)] = replacement
    answer = decode(bytes(data), **call)
    grammar.check(answer.events, is_whole=answer.decoder.failure is None, history={"used"})


@many
@given(
    st.text("rs \n", max_size=6).filter(lambda text: not text or text.strip()),
    st.text("tu \né", max_size=6),
    st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5)), max_size=3),
    st.sampled_from(["stop", "tool_calls", "length", "content_filter"]),
    st.integers(1, 3),
)
def test_plain_answer_is_the_fold_of_the_streamed_one(reasoning, said_text, inputs, finish, size):
    arguments = [json.dumps(value, ensure_ascii=False) for value in inputs]
    calls = [
        {"id": f"call_{index}", "function": {"name": "Bash", "arguments": item}}
        for index, item in enumerate(arguments)
    ]
    reply = {"reasoning_content": reasoning, "content": said_text, "tool_calls": calls}
    plain = decode_json(completion(reply, finish))
    pieces = [thought(part) for part in parts_of(reasoning, size)]
    pieces += [said(part) for part in parts_of(said_text, size)]
    for index, item in enumerate(arguments):
        pieces.append(called(name="Bash", call_id=f"call_{index}", index=index))
        pieces += [called(part, index=index) for part in parts_of(item, size)]
    streamed = decode(*pieces, chunk({}, finish), usage_chunk(), DONE)
    assert json.loads(fold(plain.frames)) == json.loads(fold(streamed.frames))


def parts_of(whole, size):
    return [whole[at : at + size] for at in range(0, len(whole), size)]
