"""Chat Completions requests: short ways to write them, and strategies that make any."""

import json

from hypothesis import strategies as st

from llmproxyd.reverse.request import to_messages

PNG = "data:image/png;base64,iVBORw0KGgo="


def request(*messages, **fields):
    return json.dumps({"model": "m", "messages": list(messages), **fields}).encode()


def translated(*messages, **fields):
    """The Messages body of a request."""
    return json.loads(to_messages(request(*messages, **fields)).body)


def turns(*messages):
    """The Messages turns of a conversation, sole text blocks as strings."""
    return [(turn["role"], plain(turn["content"])) for turn in translated(*messages)["messages"]]


def plain(blocks):
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        return blocks[0]["text"]
    return blocks


def said(role, content, **fields):
    return {"role": role, "content": content, **fields}


def user(content="hi"):
    return said("user", content)


def text(value):
    return {"type": "text", "text": value}


def call(call_id, arguments="{}", name="f"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*made, content=None):
    return said("assistant", content, tool_calls=list(made))


def answer(call_id, content):
    return said("tool", content, tool_call_id=call_id)


def tool(name="f", **fields):
    return {"type": "function", "function": {"name": name, **fields}}


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
JSON = st.recursive(
    SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["", " ", "\n"])
IDS = st.sampled_from(["a", "b", "call_1", "call_1_2", "functions.x:0", "", "é", "x" * 70])
NAMES = st.sampled_from(["f", "g", "get_weather"])
OBJECTS = st.dictionaries(st.sampled_from(["a", "type", "properties"]), JSON, max_size=2)
ARGUMENTS = st.one_of(OBJECTS.map(json.dumps), TEXTS)
TEXT_PARTS = TEXTS.map(text)
PARTS = st.one_of(
    TEXT_PARTS,
    st.sampled_from(
        [PNG, "data:image/bmp;base64,AAAA", "https://x.test/a.png", "", "file:///a"]
    ).map(lambda url: {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}),
    st.just({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
    st.sampled_from(
        [
            {"file_id": "file-1"},
            {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        ]
    ).map(lambda file: {"type": "file", "file": file}),
)
TEXT_CONTENT = TEXTS | st.lists(TEXT_PARTS, max_size=3)
REFUSAL_PARTS = TEXTS.map(lambda value: {"type": "refusal", "refusal": value})
CALLS = st.builds(call, IDS, ARGUMENTS, NAMES) | st.builds(
    lambda call_id, name, value: {
        "id": call_id,
        "type": "custom",
        "custom": {"name": name, "input": value},
    },
    IDS,
    NAMES,
    TEXTS,
)
MESSAGES = st.one_of(
    st.builds(said, st.sampled_from(["system", "developer"]), TEXT_CONTENT),
    st.builds(said, st.just("user"), TEXTS | st.lists(PARTS, max_size=3)),
    st.builds(answer, IDS, TEXT_CONTENT),
    st.builds(
        said,
        st.just("assistant"),
        st.none() | TEXTS | st.lists(TEXT_PARTS | REFUSAL_PARTS, max_size=2),
        tool_calls=st.lists(CALLS, max_size=3),
        refusal=st.none() | TEXTS,
    ),
    st.builds(
        said,
        st.just("assistant"),
        st.none(),
        function_call=st.fixed_dictionaries({"name": NAMES, "arguments": ARGUMENTS}),
    ),
    st.builds(said, st.just("function"), TEXTS, name=NAMES),
)
CONVERSATIONS = st.lists(MESSAGES, max_size=8)
TOOLS = st.lists(
    st.builds(
        lambda name, fields: tool(name, **fields),
        NAMES,
        st.fixed_dictionaries(
            {},
            optional={
                "description": TEXTS,
                "parameters": st.sampled_from([{}, {"type": "object", "properties": {}}]),
                "strict": st.none() | st.booleans(),
            },
        ),
    ),
    max_size=3,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.sampled_from([None, 1]),
        "max_tokens": st.none() | st.integers(1, 10**6),
        "max_completion_tokens": st.none() | st.integers(1, 10**6),
        "stop": st.none() | TEXTS | st.lists(TEXTS, max_size=4),
        "temperature": st.none() | st.floats(0, 2),
        "top_p": st.none() | st.floats(0, 1),
        "presence_penalty": st.floats(-2, 2),
        "logit_bias": st.dictionaries(st.text("0123456789", min_size=1), st.integers(-100, 100)),
        "seed": st.integers(),
        "user": TEXTS,
        "metadata": st.dictionaries(TEXTS, TEXTS),
        "reasoning_effort": st.sampled_from(
            [None, "none", "minimal", "low", "medium", "high", "xhigh", "max"]
        ),
        "response_format": st.sampled_from(
            [
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
            ]
        ),
        "tools": TOOLS,
        "tool_choice": st.sampled_from(["auto", "required", "none"]),
        "parallel_tool_calls": st.booleans(),
        "stream": st.none() | st.booleans(),
        "stream_options": st.none() | st.fixed_dictionaries({"include_usage": st.booleans()}),
    },
)
