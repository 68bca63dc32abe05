from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.anthropic.errors import read_error_event, read_rejection
from llmproxyd.errors import Verbatim
from llmproxyd.spi import ResponseHead
from llmproxyd.wire.overflow import too_long_message
from llmproxyd.wire.tokens import estimate_prompt_tokens
from tests.dialects.anthropic.calls import GENUINE, SSE, imitated, make_call

TYPE = ("content-type", "application/json")
KEY = "sk-configured-key"


def head(status, *headers):
    return ResponseHead(status, (*headers, TYPE))


def envelope(kind, message):
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_up"},
        indent=1,
    ).encode()


BAD = envelope("invalid_request_error", "messages.1.output_config: Extra inputs are not permitted")


@pytest.mark.parametrize("call", [make_call(), imitated()])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, BAD),
        (404, envelope("not_found_error", "model: x")),
        (429, envelope("rate_limit_error", "slow down")),
        (529, envelope("overloaded_error", "Overloaded")),
        (400, envelope("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")),
    ],
)
def test_anthropics_own_errors_pass_byte_for_byte(call, status, body):
    hints = (("retry-after", "7"), ("x-should-retry", "true"), ("request-id", "req_up"))

    error = read_rejection(call, head(status, *hints, ("server", "x")), body)

    assert Verbatim(status, (*hints, TYPE), body) == error.verbatim


@pytest.mark.parametrize("body", [b'{"odd":1}', b'{"error":{"message":"m"}}', b'{"detail":"x"}'])
def test_a_genuine_backends_json_passes_whatever_its_shape(body):
    error = read_rejection(make_call(), head(400), body)

    assert Verbatim(400, (TYPE,), body) == error.verbatim


@pytest.mark.parametrize("body", [b"", b"plain words", b"<html>", b"[1]", b'"x"'])
@pytest.mark.parametrize("call", [make_call(), imitated()])
def test_what_is_no_json_object_gets_the_envelope(call, body):
    error = read_rejection(call, head(503), body)

    assert error.verbatim is None
    assert (529, "overloaded_error", True) == (error.status, error.kind, error.can_fail_over)
    assert "<" not in error.message


def test_a_redirect_is_a_gateway_error():
    error = read_rejection(make_call(), head(302), b"{}")

    assert (502, None) == (error.status, error.verbatim)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": {"message": "bad", "type": None, "code": "400"}}, (400, "[box] bad")),
        (500, {"error": {"message": "x", "code": 500}}, (500, "[box] x")),
        (404, {"detail": "Not Found"}, (404, "model: asked: [box] Not Found")),
        (
            500,
            {"type": "error", "error": {"type": "internal_error", "message": "x"}},
            (500, "[box] x"),
        ),
    ],
)
def test_an_imitations_odd_errors_get_status_type_and_name(status, body, expected):
    error = read_rejection(imitated(), head(status), json.dumps(body).encode())

    assert error.verbatim is None
    assert expected == (error.status, error.message)


LLAMA = {
    "error": {
        "code": 400,
        "message": "request (9000 tokens) exceeds the available context size (8192 tokens)",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9000,
        "n_ctx": 8192,
    }
}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(LLAMA).encode(),
        envelope("invalid_request_error", LLAMA["error"]["message"]),
    ],
)
def test_e02_an_imitations_overflow_is_said_in_anthropics_words(body):
    error = read_rejection(imitated(), head(400), body)

    assert too_long_message(9000, 8192) == error.message
    assert (400, "invalid_request_error", False) == (error.status, error.kind, error.can_fail_over)


def test_an_overflow_without_numbers_is_told_with_ours():
    body = {"messages": [{"role": "user", "content": "hello " * 2000}]}

    error = read_rejection(imitated(body, window=1000), head(400), b'{"error":"prompt too long"}')

    assert too_long_message(estimate_prompt_tokens(body), 1000) == error.message


def test_overflow_words_in_a_rate_limit_are_a_rate_limit():
    error = read_rejection(imitated(), head(429), b'{"error":"prompt too long"}')

    assert 429 == error.status


def test_a_genuine_backends_overflow_passes_byte_for_byte():
    body = envelope("invalid_request_error", "input is too long")

    error = read_rejection(make_call(), head(400), body)

    assert error.verbatim is not None
    assert body == error.verbatim.body


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (make_call(), ("x-should-retry", "true")),
        (make_call(secret=KEY), ("x-should-retry", "false")),
        (imitated(), ("x-should-retry", "false")),
    ],
)
def test_a_refused_key_of_ours_is_not_worth_the_clients_retries(call, hint):
    body = envelope("authentication_error", "invalid x-api-key")

    error = read_rejection(call, head(401, ("x-should-retry", "true")), body)

    assert error.verbatim is not None
    assert [hint] == [pair for pair in error.verbatim.headers if pair[0] == "x-should-retry"]


@pytest.mark.parametrize("backend", [GENUINE, None])
def test_e08_a_key_that_is_echoed_is_redacted(backend):
    call = make_call(secret=KEY, secrets=(KEY, "abc")) if backend else imitated(secrets=(KEY,))
    body = envelope("authentication_error", f"bad key {KEY}, abc")

    error = read_rejection(call, head(401), body)

    assert error.verbatim is not None
    assert KEY.encode() not in error.verbatim.body
    assert KEY not in error.message
    assert b"abc" in error.verbatim.body


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (envelope("overloaded_error", "Overloaded"), 529),
        (envelope("rate_limit_error", "m"), 429),
        (b'{"error":{"message":"m","code":"503"}}', 529),
        (b"words", 500),
        (b"[" * 5000, 500),
    ],
)
def test_an_error_event_has_the_status_of_its_type(data, status):
    assert status == read_error_event(imitated(), SSE, data).status


def test_an_overflow_inside_a_stream_is_said_in_anthropics_words():
    error = read_error_event(imitated(), SSE, json.dumps(LLAMA).encode())

    assert (400, too_long_message(9000, 8192)) == (error.status, error.message)
