"""Answers recorded from real servers: OpenAI, OpenRouter, Together, Ollama, llama.cpp, LiteLLM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmproxyd.spi import ResponseHead
from llmproxyd.wire.fold import fold
from tests.dialects.openai_chat import grammar
from tests.dialects.openai_chat.upstream import feed, head, make_exchange

RECORDINGS = Path(__file__).parents[2] / "recordings"


def recorded():
    for path in sorted(RECORDINGS.glob("*/*.json")):
        exchange = json.loads(path.read_text())
        if exchange["request"]["url"].endswith("/chat/completions"):
            yield path.stem, exchange["response"]


ANSWERS = dict(recorded())
STREAMED = [
    name for name, answer in ANSWERS.items() if answer["status"] == 200 and answer["stream"]
]
PLAIN = [
    name for name, answer in ANSWERS.items() if answer["status"] == 200 and not answer["stream"]
]
REFUSED = [name for name, answer in ANSWERS.items() if answer["status"] != 200]


def chunks_of(name):
    lines = ANSWERS[name]["body"].replace("\r\n", "\n").split("\n")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(line) for line in data if line != "[DONE]"]


def deltas_of(name):
    for chunk in chunks_of(name):
        for choice in chunk["choices"]:
            if choice["index"] == 0:
                yield choice["delta"], choice.get("finish_reason")


def decoded(name, size):
    data = ANSWERS[name]["body"].encode()
    decoder = make_exchange().decoder(head())
    return feed(decoder, [data[at : at + size] for at in range(0, len(data), size)])


def test_recordings_are_there():
    assert len(STREAMED) > 60
    assert len(PLAIN) > 100
    assert len(REFUSED) > 10


@pytest.mark.parametrize("name", STREAMED)
def test_recorded_stream_loses_nothing(name):
    answer = decoded(name, 1 << 20)
    message = answer.message
    deltas = list(deltas_of(name))
    blocks = {
        kind: [block for block in message["content"] if block["type"] == kind]
        for kind in ("text", "thinking", "tool_use")
    }
    assert "".join(delta.get("content") or "" for delta, _ in deltas).lstrip("\n") == "".join(
        block["text"] for block in blocks["text"]
    )
    assert "".join(delta.get("reasoning_content") or "" for delta, _ in deltas) == "".join(
        block["thinking"] for block in blocks["thinking"]
    )
    pieces = [piece for delta, _ in deltas for piece in delta.get("tool_calls") or ()]
    arguments = {}
    for piece in pieces:
        arguments[piece["index"]] = arguments.get(piece["index"], "") + piece["function"].get(
            "arguments", ""
        )
    assert list(map(parsed, arguments.values())) == [block["input"] for block in blocks["tool_use"]]
    assert bool(blocks["tool_use"]) == (message["stop_reason"] == "tool_use" or "tool-cut" in name)
    assert message == json.loads(fold(answer.frames))


def parsed(arguments):
    return grammar._tool_input(arguments)


@pytest.mark.parametrize("name", STREAMED)
def test_recorded_stream_does_not_depend_on_its_reads(name):
    assert decoded(name, 1 << 20).wire == decoded(name, 7).wire == decoded(name, 1000).wire


@pytest.mark.parametrize("name", STREAMED)
def test_recorded_usage_is_told(name):
    reported = [chunk["usage"] for chunk in chunks_of(name) if chunk.get("usage")]
    usage = decoded(name, 1 << 20).decoder.usage
    assert usage.is_estimated == (not reported)
    if reported:
        last = reported[-1]
        assert last["completion_tokens"] == usage.output_tokens
        assert last["prompt_tokens"] == usage.input_tokens + usage.cache_read_input_tokens + (
            usage.cache_creation_input_tokens
        )


@pytest.mark.parametrize("name", PLAIN)
def test_recorded_plain_answer_loses_nothing(name):
    body = json.dumps(ANSWERS[name]["body"]).encode()
    answer = feed(make_exchange().decoder(head("application/json")), [body])
    message = answer.message
    reply = ANSWERS[name]["body"]["choices"][0]["message"]
    assert (reply.get("content") or "").lstrip("\n") == "".join(
        block["text"] for block in message["content"] if block["type"] == "text"
    )
    calls = [call["function"] for call in reply.get("tool_calls") or ()]
    assert [(call["name"], parsed(call["arguments"])) for call in calls] == [
        (block["name"], block["input"])
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    assert message == json.loads(fold(answer.frames))


@pytest.mark.parametrize("name", REFUSED)
def test_recorded_refusal_is_worded_for_the_client(name):
    answer = ANSWERS[name]
    body = json.dumps(answer["body"]).encode()
    error = make_exchange().error(ResponseHead(answer["status"]), body)
    expected = {401: 401, 404: 404, 500: 500}.get(answer["status"], error.status)
    assert expected == error.status
    if "overflow" in name:
        numbers = answer["body"]["error"]
        assert (
            f"prompt is too long: {numbers['n_prompt_tokens']} tokens > {numbers['n_ctx']} maximum "
            "(capability_rejected: prompt_too_long)"
        ) == error.message
    else:
        assert "[test] " in error.message
