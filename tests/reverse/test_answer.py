import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmproxyd.errors import BrokeProtocol
from llmproxyd.reverse.answer import ChatOutlet
from llmproxyd.wire.error_body import error_frame
from llmproxyd.wire.fold import fold, unfold
from llmproxyd.wire.frames import make_frame
from llmproxyd.wire.stream import MessageStream, ping
from llmproxyd.wire.usage import Usage
from tests.reverse.chat import JSON

USAGE = Usage(input_tokens=30, output_tokens=20, cache_read_input_tokens=60)
CHAT_USAGE = {
    "prompt_tokens": 90,
    "completion_tokens": 20,
    "total_tokens": 110,
    "prompt_tokens_details": {"cached_tokens": 60},
}


def outlet(**fields):
    return ChatOutlet("chatcmpl-1", 1700000000, "m", **fields)


def chunks(wire):
    """The payloads of a stream, `[DONE]` as it is."""
    lines = wire.decode().split("\n\n")
    assert "" == lines.pop()
    data = [line.removeprefix("data: ") for line in lines if not line.startswith(":")]
    return [line if line == "[DONE]" else json.loads(line) for line in data]


def deltas(wire):
    """What each chunk adds, or its finish_reason."""
    return [
        choice["finish_reason"] or choice["delta"]
        for chunk in chunks(wire)
        if chunk != "[DONE]"
        for choice in chunk["choices"]
    ]


def message(*content, stop_reason="end_turn", **fields):
    usage = {"input_tokens": 1, "output_tokens": 2}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "upstream",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
        **fields,
    }


def whole(*content, **fields):
    return json.loads(outlet().whole(json.dumps(message(*content, **fields)).encode()))


def event(kind, **fields):
    return make_frame(kind, json.dumps({"type": kind, **fields}).encode())


def text(value):
    return {"type": "text", "text": value}


def use(call_id, **tool_input):
    return {"type": "tool_use", "id": call_id, "name": "f", "input": tool_input}


def thinking(value):
    return {"type": "thinking", "thinking": value, "signature": "s"}


def tool_start(index, call_id, name="f"):
    function = {"name": name, "arguments": ""}
    call = {"index": index, "id": call_id, "type": "function", "function": function}
    return {"tool_calls": [call]}


def tool_input(index, arguments):
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def test_v01_text_and_tool_use_become_content_and_tool_calls():
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    assert {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Let me see.",
                    "refusal": None,
                    "reasoning_content": "hmm",
                    "tool_calls": [call],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": CHAT_USAGE,
    } == whole(
        thinking("hmm"),
        text("Let me "),
        text("see."),
        use("a", x=1),
        stop_reason="tool_use",
        usage=USAGE.as_wire(),
    )


def test_v01_whole_answer_is_what_the_sdk_expects():
    raw = json.dumps(message(text("hi"), use("a"), stop_reason="tool_use")).encode()
    completion = ChatCompletion.model_validate_json(outlet().whole(raw))
    assert "{}" == completion.choices[0].message.tool_calls[0].function.arguments


def test_content_is_null_without_text():
    said = whole(use("a"), {"type": "server_tool_use"}, "junk")["choices"][0]["message"]
    assert said["content"] is None


FINISH = [
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("pause_turn", "stop"),
    ("max_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("tool_use", "tool_calls"),
    ("refusal", "content_filter"),
    ("something_new", "stop"),
    (None, "stop"),
]


@pytest.mark.parametrize(("reason", "expected"), FINISH)
def test_reason_of_a_whole_answer(reason, expected):
    assert expected == whole(text("x"), stop_reason=reason)["choices"][0]["finish_reason"]


@pytest.mark.parametrize(("reason", "expected"), FINISH)
def test_reason_of_a_stream(reason, expected):
    frames = unfold(message(text("x"), stop_reason=reason))
    assert expected == deltas(outlet().frames(frames))[-1]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"content":"x"}', b"\xff", b"[" * 100_000])
def test_what_is_no_message_is_the_backends_fault(body):
    with pytest.raises(BrokeProtocol):
        outlet().whole(body)


def test_v02_stream_counts_tools_only():
    stream = MessageStream()
    frames = [
        stream.start("msg_1", "upstream", Usage(input_tokens=9)),
        stream.start_thinking(),
        stream.thinking("hmm"),
        stream.signature("s"),
        stream.stop_block(),
        stream.start_text(),
        stream.text("He\n"),
        stream.text("llo"),
        stream.stop_block(),
        stream.start_tool_use("a", "f"),
        stream.tool_input('{"x"'),
        stream.tool_input(":1}"),
        stream.stop_block(),
        stream.start_text(),
        stream.text("!"),
        stream.stop_block(),
        stream.start_tool_use("b", "g"),
        stream.stop_block(),
        *stream.finish("tool_use", USAGE),
    ]
    assert [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hmm"},
        {"content": "He\n"},
        {"content": "llo"},
        tool_start(0, "a"),
        tool_input(0, '{"x"'),
        tool_input(0, ":1}"),
        {"content": "!"},
        tool_start(1, "b", "g"),
        tool_input(1, "{}"),
        "tool_calls",
    ] == deltas(outlet().frames(frames))


def test_chunks_carry_id_time_and_model():
    first = chunks(outlet().frames(unfold(message(text("x")))))[0]
    assert {
        "id": "chatcmpl-1",
        "created": 1700000000,
        "model": "m",
        "object": "chat.completion.chunk",
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        ],
    } == first


def test_usage_comes_last_and_only_if_wanted():
    frames = unfold(message(text("x"), usage=USAGE.as_wire()))
    assert all("usage" not in chunk for chunk in chunks(outlet().frames(frames))[:-1])
    *first, usage, done = chunks(outlet(include_usage=True).frames(frames))
    assert all(chunk["usage"] is None for chunk in first)
    assert ([], CHAT_USAGE, "[DONE]") == (usage["choices"], usage["usage"], done)


def test_counts_of_the_end_replace_those_of_the_start():
    start = {"usage": {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 1}}
    ending = {"input_tokens": None, "output_tokens": 7}
    frames = [
        event("message_start", message=start),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage=ending),
        event("message_stop"),
    ]
    usage = chunks(outlet(include_usage=True).frames(frames))[-2]["usage"]
    assert (9, 7) == (usage["prompt_tokens"], usage["completion_tokens"])


def test_v03_error_event_ends_the_stream_without_done():
    chat = outlet()
    frames = unfold(message(text("x")))
    before = chat.frames(frames[:3])
    wire = chat.frames([error_frame("overloaded_error", "busy", "req_1"), *frames[3:]])
    assert [{"error": {"message": "busy", "type": "server_error", "code": "overloaded"}}] == chunks(
        wire
    )
    assert chat.is_done
    assert b"[DONE]" not in before + wire
    assert b"" == chat.frames(frames)


def test_ping_is_a_comment():
    chat = outlet()
    assert b": keep-alive\n\n" == chat.frames([ping()])
    assert not chat.is_done


def test_stream_ends_with_done():
    chat = outlet()
    assert chat.frames(unfold(message(text("x")))).endswith(b"\n\ndata: [DONE]\n\n")
    assert chat.is_done


def block_start(index, **block):
    return event("content_block_start", index=index, content_block=block)


def block_delta(index, **delta):
    return event("content_block_delta", index=index, delta=delta)


def block_stop(index):
    return event("content_block_stop", index=index)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        # a block may begin with all that it holds
        ([block_start(0, type="text", text="hi")], [{"content": "hi"}]),
        ([block_start(0, type="thinking", thinking="hm")], [{"reasoning_content": "hm"}]),
        (
            [block_start(3, **use("a", x=1)), block_stop(3)],
            [tool_start(0, "a"), tool_input(0, '{"x":1}')],
        ),
        # nothing is made of what holds nothing, or what nobody knows
        ([block_start(0, type="text", text="")], []),
        ([block_start(0, type="thinking", thinking="")], []),
        ([block_delta(0, type="text_delta", text="")], []),
        ([block_delta(0, type="thinking_delta", thinking="")], []),
        ([block_delta(0, type="signature_delta", signature="s")], []),
        ([block_delta(0, type="citations_delta", citation={})], []),
        ([block_start(0, type="redacted_thinking", data="x"), block_stop(0)], []),
        ([event("something_new")], []),
        # a server's own tool is none of the client's
        (
            [
                block_start(0, type="server_tool_use", id="s", name="web_search", input={}),
                block_delta(0, type="input_json_delta", partial_json="{}"),
                block_stop(0),
                block_start(1, **use("a")),
                block_delta(1, type="input_json_delta", partial_json=""),
                block_delta(1, type="input_json_delta", partial_json='{"y":2}'),
                block_stop(1),
            ],
            [tool_start(0, "a"), tool_input(0, '{"y":2}')],
        ),
    ],
)
def test_events_of_a_backend(frames, expected):
    assert expected == deltas(outlet().frames(frames))


@pytest.mark.parametrize(
    "frame",
    [
        make_frame("content_block_delta", b"{"),
        make_frame("content_block_delta", b"[" * 100_000),
        block_delta("x", type="text_delta", text="a"),
        block_delta(0, type="text_delta", text=5),
        event("message_start"),
        event("message_delta", delta=None),
        event("content_block_start", index=0, content_block=5),
        event("content_block_stop"),
    ],
)
def test_event_without_sense_is_the_backends_fault(frame):
    with pytest.raises(BrokeProtocol):
        outlet().frames([frame])


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(ChatOutlet._WRITERS)),
            st.binary(max_size=20)
            | st.fixed_dictionaries(
                {}, optional=dict.fromkeys(("index", "delta", "content_block", "message"), JSON)
            ).map(lambda value: json.dumps(value).encode())
            | st.just(b"[" * 100_000),
        ),
        max_size=4,
    )
)
def test_garbage_is_the_backends_fault(events):
    chat = outlet(include_usage=True)
    for kind, data in events:
        try:
            chunks(chat.frames([make_frame(kind, data)]))
        except BrokeProtocol:
            assert kind not in ("ping", "error", "message_stop")


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.integers() | TEXTS | st.lists(TEXTS, max_size=2) | st.none()
BLOCKS = st.one_of(
    TEXTS.map(text),
    TEXTS.map(thinking),
    st.builds(
        lambda number, value: use(f"toolu_{number}") | {"input": value},
        st.integers(0, 99),
        st.dictionaries(TEXTS, VALUES, max_size=3),
    ),
)


@settings(max_examples=100)
@given(
    st.lists(BLOCKS, max_size=6),
    st.sampled_from([reason for reason, _ in FINISH]),
    st.integers(1, 3),
)
def test_the_sdk_gathers_the_stream_to_the_whole_answer(content, reason, size):
    frames = unfold(message(*content, stop_reason=reason))
    chat = outlet(include_usage=True)
    wire = b"".join(chat.frames(frames[at : at + size]) for at in range(0, len(frames), size))
    *payloads, done = chunks(wire)
    assert "[DONE]" == done
    state = ChatCompletionStreamState()
    for payload in payloads:
        state.handle_chunk(ChatCompletionChunk.model_validate(payload))
    streamed = state.current_completion_snapshot
    expected = ChatCompletion.model_validate_json(outlet().whole(fold(frames)))
    assert summary(expected) == summary(streamed)


def summary(completion):
    choice = completion.choices[0]
    calls = [
        (call.id, call.type, call.function.name, json.loads(call.function.arguments))
        for call in choice.message.tool_calls or []
    ]
    return (
        (completion.id, completion.created, completion.model),
        choice.message.role,
        choice.message.content or None,
        getattr(choice.message, "reasoning_content", None),
        calls,
        choice.finish_reason,
        completion.usage.model_dump(exclude_none=True),
    )
