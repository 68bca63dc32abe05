"""What holds for any request: valid, pure, deterministic, prefix-stable; garbage is refused."""

from __future__ import annotations

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.dialects.openai_chat.request import encode, encode_body
from llmproxyd.errors import BadRequest
from tests.dialects.openai_chat.calls import (
    CEREBRAS,
    GPT_OSS,
    assistant,
    body_of,
    call_of,
    encoded,
    image,
    image_at,
    sent,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
)
from tests.dialects.openai_chat.chat_checker import problems

EXAMPLES = settings(max_examples=100, deadline=None)

PROVIDERS = st.sampled_from(
    [
        {"prefill": "pass"},
        {**CEREBRAS, "prefill": "pass"},
        {**GPT_OSS, "prefill": "pass"},
        {
            "prefill": "vllm",
            "top_k": True,
            "reasoning_in": "reasoning",
            "reasoning": True,
            "reasoning_control": "chat_template",
            "parallel_flag": True,
        },
        {
            "prefill": "pass",
            "tool_choice": "string",
            "schema_profile": "llamacpp",
            "reasoning_in": "reasoning_content",
            "first_user_required": True,
        },
        {
            "prefill": "pass",
            "tool_choice": "absent",
            "vision": False,
            "tool_id_max": 9,
            "schema_profile": "plain",
            "tools_required_with_history": True,
        },
        {
            "prefill": "pass",
            "reasoning_in": "think_tags",
            "reasoning_in_all": True,
            "pdf": True,
            "mid_system": "hoist",
            "assistant_null_content": False,
        },
    ]
)

ids = st.sampled_from(["call_0", "toolu_1", "functions.Bash:0", "x" * 70, "call_0_2"])
names = st.sampled_from(["Bash", "Read", "mcp__a.b/c", "n" * 80])
texts = st.sampled_from(
    ["hi", "", " \n", "é\u2028", "<system-reminder>\nr\n</system-reminder>", "x\0y"]
)
cached = st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}])
inputs = st.sampled_from([None, {}, {"a": [1, {"b": None}]}, '{"a":1}', "junk", [1], 3, True])

images = st.sampled_from([image(), image(media_type="image/bmp"), image_at("http://h/i.png")])
documents = st.sampled_from(
    [
        {"type": "document", "source": {"type": "text", "data": "d"}, "title": "T"},
        {"type": "document", "source": {"type": "content", "content": [text("c"), image()]}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        },
        {"type": "document", "source": {"type": "url", "url": "http://h/d.pdf"}},
    ]
)
reference = st.builds(lambda name: {"type": "tool_reference", "tool_name": name}, names)
result_items = st.builds(text, texts) | images | documents | reference
results = st.builds(
    lambda tool_id, content, error: tool_result(tool_id, content, **error),
    ids,
    st.none() | texts | st.lists(result_items, max_size=3),
    st.sampled_from([{}, {"is_error": True}, {"is_error": False}]),
)
calls = st.builds(tool_use, ids, names, inputs)
server_blocks = st.sampled_from(
    [
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "s1",
            "content": [
                {"type": "web_search_result", "title": "T", "url": "u", "encrypted_content": "E"}
            ],
        },
        {"type": "redacted_thinking", "data": "x"},
        {"type": "compaction", "content": "summary"},
        {"type": "brand_new_block", "value": 1},
    ]
)
user_blocks = (
    st.builds(lambda b, c: {**b, **c}, st.builds(text, texts), cached) | images | documents
)
user_messages = st.builds(
    lambda blocks: user(*blocks), st.lists(user_blocks | results | server_blocks, max_size=4)
)
assistant_blocks = st.builds(text, texts) | calls | st.builds(thinking, texts) | server_blocks
assistant_messages = st.builds(
    lambda blocks: assistant(*blocks), st.lists(assistant_blocks, max_size=4)
)
system_messages = st.builds(
    lambda content: {"role": "system", "content": content, "output_config": {"effort": "low"}},
    texts | st.lists(st.builds(text, texts), max_size=2),
)
conversations = st.lists(user_messages | assistant_messages | system_messages, max_size=6).map(
    lambda messages: [user("start"), *messages]
)

schemas = st.sampled_from(
    [
        None,
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": True}},
        {"$schema": "s", "properties": {"$schema": {"const": 1}}, "required": None},
    ]
)
tools = st.builds(
    lambda name, schema, deferred: {"name": name, "input_schema": schema, **deferred},
    names | st.sampled_from(["ToolSearch", "DeferredToolPlaceholder"]),
    schemas,
    st.sampled_from([{}, {"defer_loading": True}, {"type": "custom", "strict": True}]),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "system": texts | st.lists(st.builds(text, texts), max_size=3),
        "tools": st.lists(tools, max_size=4).map(lambda t: [*t, {"name": "Write"}]),
        "tool_choice": st.sampled_from(
            [
                {"type": "auto", "disable_parallel_tool_use": True},
                {"type": "any"},
                {"type": "none"},
                {"type": "tool", "name": "Write"},
            ]
        ),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(0, 99),
        "stop_sequences": st.lists(texts | st.sampled_from("abcdef"), max_size=7),
        "thinking": st.sampled_from(
            [{"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 9000}]
        ),
        "output_config": st.sampled_from(
            [
                {"effort": "max"},
                {"format": {"type": "json_schema", "schema": {"type": "object"}}},
            ]
        ),
        "metadata": st.just({"user_id": "u"}),
        "context_management": st.just({"edits": []}),
        "stream": st.booleans(),
    },
)
requests = st.builds(lambda c, more: body_of(*c, **more), conversations, options)


@EXAMPLES
@given(requests, PROVIDERS)
def test_any_request_of_an_sdk_becomes_a_valid_one(body, flags):
    assert [] == problems(sent(body, flags=flags))


@EXAMPLES
@given(requests, PROVIDERS)
def test_translation_changes_nothing_it_was_given_and_repeats_itself(body, flags):
    before = copy.deepcopy(body)
    call = call_of(body, flags=flags)
    first = encode_body(call, body)
    assert before == body
    assert first == encode_body(call, body) == encode(call)


@EXAMPLES
@given(conversations, options, PROVIDERS.filter(lambda flags: flags.get("mid_system") != "hoist"))
def test_r28_earlier_messages_read_the_same_on_the_next_turn(conversation, more, flags):
    flags = {**flags, "reasoning_in": "drop"}
    now = [*conversation, user("go on")]
    later = [*now, assistant(text("done"), tool_use("new", "Write")), user(tool_result("new"))]
    before, after = (
        json.loads(encoded(body_of(*messages, **more), flags=flags).body)["messages"]
        for messages in (now, later)
    )
    assert before == after[: len(before)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
block_types = st.sampled_from(
    [
        *("text", "image", "document", "search_result", "tool_use", "tool_result", "thinking"),
        *("server_tool_use", "web_search_tool_result", "compaction", "tool_reference", "odd"),
    ]
)
block_fields = st.sampled_from(
    [
        *("text", "source", "content", "id", "name", "input", "tool_use_id", "thinking", "title"),
        *("signature", "tool_name", "is_error"),
    ]
)
sources = st.fixed_dictionaries(
    {"type": st.sampled_from(["base64", "url", "file", "text", "content"]) | json_values},
    optional=dict.fromkeys(("data", "media_type", "url", "content", "file_id"), json_values),
)
odd_blocks = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    block_types | json_values,
    st.dictionaries(
        block_fields, json_values | sources | st.lists(sources, max_size=2), max_size=5
    ),
)
odd_messages = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant", "system", "ctx"]) | json_values,
    st.lists(odd_blocks | json_values, max_size=3) | json_values,
)
odd_bodies = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "max_tokens": st.integers(0, 9) | json_values,
        "messages": st.lists(odd_messages, max_size=4) | json_values,
    },
    optional={
        "tools": json_values
        | st.lists(
            st.dictionaries(
                st.sampled_from(["name", "type", "input_schema", "description", "defer_loading"]),
                json_values,
            ),
            max_size=3,
        ),
        **dict.fromkeys(
            (
                *("system", "tool_choice", "stop_sequences", "thinking", "output_config"),
                *("metadata", "temperature", "mcp_servers", "output_format", "cache_control"),
            ),
            json_values,
        ),
    },
)


@settings(max_examples=200, deadline=None)
@given(odd_bodies, PROVIDERS)
def test_garbage_is_refused_as_a_bad_request_or_repaired_to_a_valid_one(body, flags):
    try:
        request = sent(body, flags=flags)
    except BadRequest:
        return
    assert [] == problems(request)


@EXAMPLES
@given(st.binary(max_size=60))
def test_bytes_that_are_no_request_are_a_bad_request(raw):
    try:
        encoded(b'{"model":"m","max_tokens":1,"messages":' + raw)
    except BadRequest:
        return
