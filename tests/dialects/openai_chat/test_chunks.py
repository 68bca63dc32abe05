"""Chunks are decoded in one pass, and tolerantly when that does not do."""

from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.openai_chat.chunks import Chunk, decode_chunk, text_of


def choice(**fields):
    return json.dumps({"choices": [fields]}).encode()


def test_typed_chunk():
    chunk = decode_chunk(
        b'{"id":"x","choices":[{"index":0,"delta":{"content":"hi","tool_calls":[{"index":1,'
        b'"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":1}}'
    )
    (first,) = chunk.choices
    assert ("hi", "stop", {"prompt_tokens": 1}) == (
        first.delta.content,
        first.finish_reason,
        chunk.usage,
    )
    (call,) = first.delta.tool_calls
    assert (1, "a", "f", "{}") == (call.index, call.id, call.function.name, call.function.arguments)


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}', "a\ufffd"),
        (b'{"choices":[{"delta":{"content":"\\ude00b"}}]}', "\ufffdb"),
        (b'{"choices":[{"delta":{"content":"\\ud83d\\ude00"}}]}', "😀"),
        (b'{"choices":[{"delta":{"content":"a\xff"}}]}', "a\ufffd"),
        (b'{"choices":[{"delta":{"content":"a"},"logprobs":NaN}]}', "a"),
        (b'{"choices":[{"delta":{"content":"a"},"logprobs":1e999}]}', "a"),
        (b'{"choices":[7,{"delta":{"content":"a"}}]}', "a"),
        (b'{"choices":{"delta":{"content":"a"}}}', "a"),
        (b'{"choices":[{"delta":{"content":"a","tool_calls":"none"}}]}', "a"),
        (b'{"choices":[{"delta":{"content":"a","function_call":[]}}]}', "a"),
    ],
)
def test_odd_chunk_keeps_its_text(data, content):
    assert content == decode_chunk(data).first_choice().delta.content


def test_wrong_containers_are_left_out():
    chunk = decode_chunk(choice(delta=[1], message="x", finish_reason="stop"))
    assert (None, None, "stop") == (
        chunk.choices[0].delta,
        chunk.choices[0].message,
        chunk.choices[0].finish_reason,
    )


def test_lone_call_counts_as_a_list_of_one():
    chunk = decode_chunk(choice(delta={"tool_calls": {"id": "a", "function": {"name": "f"}}}))
    assert "f" == chunk.choices[0].delta.tool_calls[0].function.name


def test_call_whose_function_is_no_object_has_none():
    chunk = decode_chunk(choice(delta={"tool_calls": [{"id": "a", "function": "f"}, None]}))
    (call,) = chunk.choices[0].delta.tool_calls
    assert ("a", None) == (call.id, call.function)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"1", b"{", b'{"a":}', b"[" * 100_000])
def test_anything_but_an_object_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        decode_chunk(data)


@pytest.mark.parametrize("index", [0, None, "0", 0.0, False])
def test_first_choice(index):
    chunk = decode_chunk(choice(index=index))
    assert chunk.choices[0] is chunk.first_choice()


@pytest.mark.parametrize("chunk", [Chunk(), decode_chunk(choice(index=1)), decode_chunk(b"{}")])
def test_no_first_choice(chunk):
    assert chunk.first_choice() is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "image_url"}, "x", None, {"text": 7}], ""),
        (7, ""),
        ({"text": "a"}, ""),
    ],
)
def test_content_as_text(content, text):
    assert text == text_of(content)
