from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.anthropic.exchange import AnthropicExchange
from llmproxyd.dialects.anthropic.request import build_request
from llmproxyd.errors import Rejected, Unreachable
from llmproxyd.spi import ResponseHead
from tests.dialects.anthropic.calls import JSON, SSE, imitated, make_call
from tests.dialects.anthropic.test_answer import STREAM
from tests.dialects.anthropic.test_errors import BAD, envelope

THINKING = {"type": "thinking", "thinking": "r", "signature": "EqQ"}
TEXT = {"type": "text", "text": "t"}
HISTORY = {
    "messages": [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": [THINKING, TEXT]},
        {"role": "user", "content": "v"},
    ]
}
SIGNATURE = envelope(
    "invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"
)
BUDGET = json.dumps(
    {
        "error": {
            "message": "'max_tokens' is too large: 32000. This model's maximum context length is "
            "8192 tokens and your request has 1500 input tokens"
        }
    }
).encode()
REFUSED = ResponseHead(400, (("content-type", "application/json"),))


def begin(call):
    return AnthropicExchange(call, build_request(call, "messages"))


def mended(call, body, head=REFUSED):
    exchange = begin(call)
    return exchange.repaired(exchange.error(head, body))


def test_a_refused_signature_is_mended_by_leaving_thinking_out_once():
    exchange = mended(make_call(HISTORY), SIGNATURE)

    assert exchange is not None
    assert [TEXT] == json.loads(exchange.request.body)["messages"][1]["content"]
    assert exchange.request.url == begin(make_call(HISTORY)).request.url
    assert exchange.repaired(exchange.error(REFUSED, SIGNATURE)) is None


def test_the_mended_body_is_the_same_but_for_thinking():
    raw = json.dumps({"model": "asked", **HISTORY}, separators=(",", ":")).encode()
    exchange = mended(make_call(raw), SIGNATURE)

    assert exchange is not None
    block = json.dumps(THINKING, separators=(",", ":")).encode() + b","
    assert raw.replace(block, b"") == exchange.request.body


def test_a_budget_that_does_not_fit_is_mended_for_an_imitation():
    exchange = mended(imitated({"max_tokens": 32000}), BUDGET)

    assert exchange is not None
    assert 8192 - 1500 - 64 == json.loads(exchange.request.body)["max_tokens"]


@pytest.mark.parametrize(
    ("call", "head", "body"),
    [
        (make_call({"max_tokens": 32000}), REFUSED, BUDGET),  # the client heals it itself
        (make_call(HISTORY), REFUSED, BAD),
        (make_call(HISTORY), ResponseHead(500), SIGNATURE),
        (make_call(), REFUSED, SIGNATURE),
        (imitated(), REFUSED, b'{"error":"prompt too long"}'),
        (imitated(), REFUSED, b'{"error":"no"}'),
    ],
)
def test_other_refusals_are_final(call, head, body):
    assert mended(call, body, head) is None


@pytest.mark.parametrize(
    "error", [Unreachable("signature thinking"), Rejected("signature thinking", status=500)]
)
def test_other_failures_are_not_mended(error):
    assert begin(make_call(HISTORY)).repaired(error) is None


def test_an_answer_is_decoded_and_its_headers_are_filtered():
    exchange = begin(make_call())
    decoder = exchange.decoder(SSE)

    frames = decoder.feed(STREAM)

    assert STREAM == b"".join(frame.wire for frame in frames)
    assert [] == exchange.response_headers(JSON)


def test_nothing_is_answered_estimated_or_learned_here():
    exchange = begin(make_call())

    assert ([], 0, None) == (exchange.local, exchange.prompt_estimate, exchange.learned)
