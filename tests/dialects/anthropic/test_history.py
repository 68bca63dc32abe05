from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.anthropic.history import without_foreign_thinking, without_thinking
from llmproxyd.wire.signature import sign

OURS = {"type": "thinking", "thinking": "r", "signature": sign("r")}
UNSIGNED = {"type": "thinking", "thinking": "r", "signature": ""}
NULL = {"type": "thinking", "thinking": "r", "signature": None}
GENUINE = {"type": "thinking", "thinking": "r", "signature": "EqQBCgIYAhIM"}
REDACTED = {"type": "redacted_thinking", "data": "x"}
TEXT = {"type": "text", "text": "t"}
TOOL = {"type": "tool_use", "id": "a", "name": "Bash", "input": {"signature": "", "n": 1.50}}


def body(*contents):
    messages = [{"role": "user", "content": "u"}]
    messages += [{"role": "assistant", "content": content} for content in contents]
    messages.append({"role": "user", "content": "v"})
    return json.dumps({"model": "m", "messages": messages, "x": [1, 2]}).encode()


def contents(raw):
    messages = json.loads(raw)["messages"]
    return [message["content"] for message in messages if message["role"] == "assistant"]


@pytest.mark.parametrize("foreign", [OURS, UNSIGNED])
def test_foreign_thinking_is_removed_and_the_rest_stays(foreign):
    raw = body([foreign, TEXT, TOOL], [GENUINE, TEXT], [REDACTED])

    assert [[TEXT, TOOL], [GENUINE, TEXT], [REDACTED]] == contents(without_foreign_thinking(raw))


def test_a_null_signature_beside_an_empty_one_goes_too():
    assert [[TEXT]] == contents(without_foreign_thinking(body([UNSIGNED, NULL, TEXT])))


def test_a_message_of_nothing_else_is_removed():
    raw = body([OURS], [UNSIGNED, OURS], [TEXT])

    assert [[TEXT]] == contents(without_foreign_thinking(raw))


def test_bytes_outside_the_removed_blocks_stay():
    block = json.dumps(UNSIGNED)
    kept = '{"type" : "text", "text":"\\u00e9 \\/ 1.50", "new":[ 1 ]}'
    template = (
        '{ "model":"m",  "messages" : [{"role":"user","content" : "é"},'
        '{"role":"assistant","x": 1e2 ,"content":[%s]}],  "stream":true }'
    )

    raw = (template % f"{block},{kept}").encode()

    assert (template % kept).encode() == without_foreign_thinking(raw)


@pytest.mark.parametrize(
    "raw",
    [
        body([GENUINE, TEXT]),
        body("text"),
        body([{"type": "text", "text": '"signature":"llmproxyd.x"'}]),
        body([{"type": "text", "text": "t", "signature": ""}]),
        body(["words", {"type": "x", "signature": ""}]),
        b'{"signature":"","messages":5}',
        b'{"signature":"","messages":[5]}',
        b'{"signature":"","model":"m"}',
        b'{"signature":"","messages":[{"content":[{]}',
        b'{"signature":"","messages":[{"role":"user"}]}',
        b'{"signature":"","messages":[{"content":[{"type":"\xff","signature":""}]}]}',
    ],
)
def test_a_body_without_foreign_thinking_is_untouched(raw):
    assert raw == without_foreign_thinking(raw)


def test_all_thinking_is_removed_on_demand():
    raw = body([GENUINE, TEXT], [REDACTED, TOOL], [GENUINE])

    assert [[TEXT], [TOOL]] == contents(without_thinking(raw))


def test_nothing_is_removed_where_there_is_no_thinking():
    raw = body([TEXT], "words")

    assert raw == without_thinking(raw)


@pytest.mark.parametrize("depth", [100, 900, 980, 990, 1000, 5000])
def test_deep_nesting_is_no_failure(depth):
    deep = b"[" * depth + b"]" * depth
    without_foreign_thinking(
        b'{"x":%b,"messages":[{"content":[{"signature":"","x":%b}]}]}' % (deep, deep)
    )
