"""Answers that need no backend: the model probe and the cache prewarm."""

from __future__ import annotations

import json

import pytest

from llmproxyd.errors import BrokeProtocol, TimedOut
from llmproxyd.wire.fold import fold
from tests.dialects.openai_chat import grammar
from tests.dialects.openai_chat.calls import user
from tests.dialects.openai_chat.upstream import head, make_exchange

PROBE = {"stream": False, "max_tokens": 1, "tools": [], "thinking": None, "messages": [user("Hi")]}


def message_of(exchange):
    assert exchange.request is None
    events = grammar.parse(b"".join(frame.wire for frame in exchange.local))
    grammar.check(events)
    message = grammar.aggregate(events)
    assert message == json.loads(fold(exchange.local))
    return message


def test_probe_gets_a_tiny_text():
    message = message_of(make_exchange(body=PROBE))
    assert [{"type": "text", "text": "Hello"}] == message["content"]
    assert "end_turn" == message["stop_reason"]
    assert "claude-x" == message["model"]
    assert 1 == message["usage"]["output_tokens"]


@pytest.mark.parametrize("stream", [True, False])
def test_prewarm_gets_no_content(stream):
    message = message_of(make_exchange(body={"max_tokens": 0, "stream": stream}))
    assert [] == message["content"]
    assert "max_tokens" == message["stop_reason"]
    assert message["usage"]["input_tokens"] > 0
    assert 0 == message["usage"]["output_tokens"]


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 2},
        {"stream": True},
        {"messages": [user("Hi there")]},
        {"tools": [{"name": "x", "input_schema": {}}]},
    ],
)
def test_anything_else_goes_upstream(change):
    assert make_exchange(body=PROBE | change).request is not None


def test_nothing_can_come_back():
    exchange = make_exchange(body=PROBE)
    assert (None, 0, []) == (
        exchange.learned,
        exchange.prompt_estimate,
        exchange.response_headers(head()),
    )
    assert exchange.repaired(TimedOut("x")) is None
    assert isinstance(exchange.error(head(), b""), BrokeProtocol)
    with pytest.raises(BrokeProtocol):
        exchange.decoder(head())
