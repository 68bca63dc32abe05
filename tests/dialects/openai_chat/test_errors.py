"""Upstream errors as the client gets them: every row of sections 4.1 and 4.2, cases E03 to E08."""

from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.openai_chat.errors import Mendable, refused_property
from llmproxyd.errors import Rejected
from llmproxyd.spi import ResponseHead
from llmproxyd.wire.error_body import error_headers
from llmproxyd.wire.upstream_errors import ErrorBody
from tests.dialects.openai_chat.upstream import DONE, decode, event, make_exchange, said

HTML = b"<html><body><h1>503</h1><script>alert(1)</script></body></html>"


def refusal(status, answer=b"", headers=(), **more):
    """The error that a non-2xx answer becomes."""
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return make_exchange(**more).error(ResponseHead(status, tuple(headers)), raw)


def openai(message="m", **more):
    return {"error": {"message": message, **more}}


def in_stream(body, **more):
    """The error that an event inside a 200 answer becomes."""
    return decode(said("x"), event(body), **more).failure


STATUSES = {
    400: (400, "invalid_request_error", None),
    401: (401, "authentication_error", False),
    402: (402, "billing_error", None),
    403: (403, "permission_error", None),
    404: (404, "not_found_error", None),
    405: (500, "api_error", False),
    408: (504, "timeout_error", None),
    409: (409, "conflict_error", None),
    413: (413, "request_too_large", None),
    415: (500, "api_error", False),
    418: (400, "invalid_request_error", None),
    422: (400, "invalid_request_error", None),
    429: (429, "rate_limit_error", None),
    500: (500, "api_error", None),
    501: (500, "api_error", None),
    502: (502, "api_error", None),
    503: (529, "overloaded_error", None),
    504: (504, "timeout_error", None),
    520: (502, "api_error", None),
    521: (502, "api_error", None),
    523: (502, "api_error", None),
    524: (504, "timeout_error", None),
    529: (529, "overloaded_error", None),
    302: (502, "api_error", None),
}


@pytest.mark.parametrize("status", STATUSES)
def test_status_row(status):
    error = refusal(status, openai())
    assert STATUSES[status] == (error.status, error.kind, error.should_retry)
    assert error.message.endswith("m")
    assert "[test]" in error.message


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, openai(code="insufficient_quota"), (402, "billing_error")),
        (403, openai(type="insufficient_balance"), (402, "billing_error")),
        (429, openai(type="payment_required"), (402, "billing_error")),
        (403, openai(metadata={"reasons": ["violence"]}), (400, "invalid_request_error")),
        (400, openai("Model 'x' not found"), (404, "not_found_error")),
        (400, openai("Invalid model name passed in model=zzz."), (404, "not_found_error")),
        (429, openai(code="queue_exceeded"), (529, "overloaded_error")),
        (429, {"message": "m", "code": "queue_exceeded"}, (529, "overloaded_error")),
        (500, openai("The server is overloaded"), (529, "overloaded_error")),
        (502, b"no available server", (529, "overloaded_error")),
    ],
)
def test_rows_that_depend_on_the_body(status, body, expected):
    error = refusal(status, body)
    assert expected == (error.status, error.kind)


@pytest.mark.parametrize("message", ["Jinja Exception: x", "Invalid tool call arguments: x"])
def test_deterministic_failure_is_not_retried(message):
    assert (500, False) == (
        (error := refusal(500, openai(message))).status,
        error.should_retry,
    )


def test_misconfigured_backend_is_named():
    assert "[test] backend misconfigured: m" == refusal(405, openai()).message


def test_missing_model_is_named_first():
    assert refusal(404, openai("nope")).message.startswith("model: claude-x")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (openai(code=429), (429, "rate_limit_error")),
        (openai(code="503"), (529, "overloaded_error")),
        (
            {"status_code": 401, "error": {"message": "m", "code": 500}},
            (401, "authentication_error"),
        ),
        (openai(code=200), (500, "api_error")),
        (openai(code="context"), (500, "api_error")),
        (openai(type="rate_limit_exceeded"), (429, "rate_limit_error")),
        (openai(type="too_many_requests_error"), (429, "rate_limit_error")),
        (openai(type="insufficient_quota"), (402, "billing_error")),
        (openai(type="payment_required"), (402, "billing_error")),
        (openai(type="billing_hard_limit"), (402, "billing_error")),
        (openai(type="token_quota_exceeded"), (429, "rate_limit_error")),
        (openai(type="authentication_error"), (401, "authentication_error")),
        (openai(code="wrong_api_key"), (401, "authentication_error")),
        (openai(type="not_found"), (404, "not_found_error")),
        (openai(code="model_not_found"), (404, "not_found_error")),
        (openai(type="overloaded_error"), (529, "overloaded_error")),
        (openai(type="service_unavailable"), (529, "overloaded_error")),
        (openai(code="server_busy"), (529, "overloaded_error")),
        (openai(type="timeout"), (504, "timeout_error")),
        (openai(type="invalid_request_error"), (400, "invalid_request_error")),
        (openai(type="BadRequestError"), (400, "invalid_request_error")),
        (openai(type="server_error"), (500, "api_error")),
        (openai("the engine is overloaded"), (529, "overloaded_error")),
        (openai(), (500, "api_error")),
    ],
)
def test_error_inside_a_200_answer(body, expected):
    error = in_stream(body)
    assert expected == (error.status, error.kind)
    whole = decode(json.dumps(body).encode(), content_type="application/json").failure
    assert expected == (whole.status, whole.kind)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (openai("said"), "[test] said"),
        ({"error": "said"}, "[test] said"),
        ({"message": "said", "type": "t", "param": "p", "code": "c"}, "[test] said"),
        ({"object": "error", "message": "said"}, "[test] said"),
        ({"detail": "said"}, "[test] said"),
        ({"detail": [{"loc": ["body", "x"], "msg": "said"}]}, "[test] body.x: said"),
        ({"type": "error", "error": {"type": "x", "message": "said"}}, "[test] said"),
        ({"errors": [{"message": "said"}]}, "[test] said"),
        (b"said", "[test] said"),
        (b"", "[test] upstream returned status 400 without a reason"),
        (HTML, "[test] upstream returned HTML (status 400)"),
    ],
)
def test_body_shapes(body, message):
    assert message == refusal(400, body).message


def test_e03_retry_after_is_rounded_up():
    error = refusal(429, openai(), [("retry-after", "1.2")])
    assert ("retry-after", "2") in error_headers(error)


RESETS = (
    ("x-ratelimit-remaining-requests-day", "10"),
    ("x-ratelimit-reset-requests-day", "33011.382867"),
    ("x-ratelimit-remaining-tokens-minute", "0"),
    ("x-ratelimit-reset-tokens-minute", "11.4s"),
)


@pytest.mark.parametrize(
    ("headers", "message", "expected"),
    [
        ([("retry-after-ms", "1500"), ("retry-after", "9")], "", "2"),
        ([("retry-after", "7"), *RESETS], "", "7"),
        (
            [
                ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"),
                ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ],
            "",
            "10",
        ),
        (RESETS, "", "12"),
        (
            [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")],
            "",
            "360",
        ),
        ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "120ms")], "", "1"),
        ([("x-ratelimit-reset-tokens-minute", "3.1")], "", "4"),
        ([], "Rate limit reached. Please try again in 1.5s.", "2"),
        ([("retry-after", "86400")], "", "86400"),
        ([("retry-after", "0")], "", "1"),
    ],
)
def test_retry_timing(headers, message, expected):
    error = refusal(429, openai(message or "m"), headers)
    assert ("retry-after", expected) in error_headers(error)


@pytest.mark.parametrize("headers", [(), [("retry-after", "soon")], RESETS[:2]])
def test_no_retry_timing_is_invented(headers):
    assert refusal(429, openai(), headers).retry_after_s is None


def test_e04_web_page_leaves_no_markup():
    error = refusal(503, HTML, [("content-type", "text/html; charset=utf-8")])
    assert (529, "overloaded_error") == (error.status, error.kind)
    assert "[test] upstream returned HTML (status 503)" == error.message


def test_e05_error_as_plain_string():
    error = refusal(404, {"error": "model not loaded"})
    assert (404, "not_found_error") == (error.status, error.kind)
    assert "model not loaded" in error.message


@pytest.mark.parametrize("body", [openai("key hunter2-key is wrong"), b"Bearer hunter2-key"])
def test_e08_key_in_an_error_is_redacted(body):
    message = refusal(401, body, secrets=("hunter2-key",)).message
    assert "hunter2-key" not in message
    assert "[redacted]" in message


def test_key_in_an_error_event_is_redacted():
    assert "[test] bad key [redacted]" == in_stream(openai("bad key sk-0123456789abcdef")).message


def test_key_in_a_finish_reason_is_redacted():
    error = decode(event({"error": "hunter2-key"}), secrets=("hunter2-key",)).failure
    assert "[test] [redacted]" == error.message


def test_message_is_cut():
    assert 2000 == len(refusal(400, openai("x" * 5000)).message)


REFUSALS = [
    ("wrong_api_format", "property 'top_k' is unsupported", None, "top_k"),
    ("wrong_api_format", "body.top_k: property 'body.top_k' is unsupported", None, "top_k"),
    (
        "wrong_api_format",
        "property 'messages.1.assistant.reasoning_content' is unsupported",
        "validation_error",
        "messages.1.assistant.reasoning_content",
    ),
    ("wrong_api_format", "body -> cache: Extra inputs are not permitted", None, "cache"),
    ("wrong_api_format", "messages: Input should be a valid list", "validation_error", None),
    (
        "unsupported_parameter",
        "Unsupported parameter: 'temperature' is not …",
        "temperature",
        "temperature",
    ),
    ("unsupported_parameter", "It is not supported.", "temperature", "temperature"),
    ("unknown_parameter", "Unknown parameter: 'a.b'.", None, "a.b"),
    ("unsupported_parameter", "It is not supported.", None, None),
    ("other", "property 'top_k' is unsupported", "top_k", None),
]


@pytest.mark.parametrize(("code", "message", "param", "expected"), REFUSALS)
def test_refused_property_is_read(code, message, param, expected):
    error = ErrorBody(message=message, code=code, fields={"param": param})
    assert expected == refused_property(error)


@pytest.mark.parametrize(("learn", "status"), [(True, 429), (False, 400)])
def test_refused_property_needs_the_flag_and_a_400(learn, status):
    body = openai("property 'top_p' is unsupported", code="wrong_api_format")
    assert type(refusal(status, body, flags={"learn": learn})) is Rejected
    assert isinstance(refusal(400, body, flags={"learn": True}), Mendable)


def test_other_400_of_a_learning_backend_can_not_be_mended():
    assert type(refusal(400, openai("no"), flags={"learn": True})) is Rejected


def test_object_without_choices_that_is_no_error_and_no_plain_json():
    answer = decode(said("x"), b'data: {"id":"\\ud800","detail":"x"}\n\n', said("y"), DONE)
    assert "STttEDZ" == answer.word


def test_mendable_error_keeps_what_the_client_gets():
    plain = refusal(400, openai("m"), [("retry-after", "5")])
    mendable = Mendable(plain, refused="x")
    assert vars(plain) | {"refused": "x", "max_tokens": None} == vars(mendable)
