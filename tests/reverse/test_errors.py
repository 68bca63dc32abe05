import json

import pytest

from llmproxyd.errors import BadRequest, Draining, ProxyError, Rejected, TooLarge, Verbatim
from llmproxyd.reverse.errors import error_body, error_data, from_anthropic
from llmproxyd.wire.error_body import error_body as anthropic_body

UNSAID = "the backend refused the request without saying why"


def envelope(message, kind, code):
    return {"error": {"message": message, "type": kind, "code": code, "param": None}}


@pytest.mark.parametrize(
    ("kind", "message", "type_", "code"),
    [
        ("invalid_request_error", "m", "invalid_request_error", None),
        ("authentication_error", "m", "authentication_error", "invalid_api_key"),
        ("billing_error", "m", "insufficient_quota", "insufficient_quota"),
        ("permission_error", "m", "permission_error", "permission_denied"),
        ("not_found_error", "no such path", "not_found_error", "not_found"),
        ("not_found_error", "model: x", "not_found_error", "model_not_found"),
        ("not_found_error", "[b] model: x", "not_found_error", "model_not_found"),
        ("invalid_request_error", "model: Field required", "invalid_request_error", None),
        ("conflict_error", "m", "conflict_error", "conflict"),
        ("request_too_large", "m", "invalid_request_error", "request_too_large"),
        ("rate_limit_error", "m", "rate_limit_error", "rate_limit_exceeded"),
        ("timeout_error", "m", "timeout_error", "timeout"),
        ("overloaded_error", "m", "server_error", "overloaded"),
        ("api_error", "m", "server_error", None),
        ("policy_blocked", "m", "invalid_request_error", "policy_blocked"),
        ("new_error", "m", "new_error", None),
        (
            "invalid_request_error",
            "prompt is too long: 9 tokens > 8 maximum",
            "invalid_request_error",
            "context_length_exceeded",
        ),
        (
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2, decrease",
            "invalid_request_error",
            "context_length_exceeded",
        ),
    ],
)
def test_kinds(kind, message, type_, code):
    expected = envelope(message, type_, code)
    assert expected == json.loads(error_body(ProxyError(message, kind=kind)))
    assert expected == json.loads(from_anthropic(anthropic_body(kind, message, "req_1")))
    del expected["error"]["param"]
    assert expected == json.loads(error_data(anthropic_body(kind, message, "req_1")))


@pytest.mark.parametrize(
    ("error", "code"),
    [(BadRequest("m"), None), (TooLarge("m"), "request_too_large"), (Draining("m"), "overloaded")],
)
def test_own_errors(error, code):
    assert code == json.loads(error_body(error))["error"]["code"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            anthropic_body("rate_limit_error", "slow down", "req_1"),
            envelope("slow down", "rate_limit_error", "rate_limit_exceeded"),
        ),
        (b'{"error":"boom"}', envelope("boom", "server_error", None)),
        (b"{}", envelope("own words", "server_error", None)),
        (b"", envelope("own words", "server_error", None)),
    ],
)
def test_words_of_a_backend(body, expected):
    error = Rejected("own words", verbatim=Verbatim(429, (), body))
    assert expected == json.loads(error_body(error))


def test_rejection_without_a_body_of_its_own():
    error = Rejected("m", status=429, kind="rate_limit_error")
    assert envelope("m", "rate_limit_error", "rate_limit_exceeded") == json.loads(error_body(error))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null"])
def test_body_that_says_nothing(body):
    assert "server_error" == json.loads(from_anthropic(body))["error"]["type"]


def test_error_that_says_nothing_gets_words():
    assert envelope(UNSAID, "server_error", None) == json.loads(from_anthropic(b""))
