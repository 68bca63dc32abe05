from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.wire.upstream_errors import (
    ErrorBody,
    classify,
    read_error,
    read_error_value,
    rejected,
)


def summary(error: ErrorBody) -> tuple[str, str, str, int | None]:
    return error.message, error.type, error.code, error.status


SHAPES = {
    "openai": (
        {"error": {"message": "m", "type": "t", "param": None, "code": "c"}},
        ("m", "t", "c", None),
    ),
    "int code": ({"error": {"message": "m", "code": 429}}, ("m", "", "429", 429)),
    "numeric string code": ({"error": {"message": "m", "code": "500"}}, ("m", "", "500", 500)),
    "code is no status": ({"error": {"message": "m", "code": 1042}}, ("m", "", "1042", None)),
    "E05 text": ({"error": "model not loaded"}, ("model not loaded", "", "", None)),
    "flat, cerebras": (
        {"message": "m", "type": "too_many_requests_error", "param": "quota", "code": "x"},
        ("m", "too_many_requests_error", "x", None),
    ),
    "flat, old vllm": (
        {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
        ("m", "BadRequestError", "400", 400),
    ),
    "fastapi text": ({"detail": "Not Found"}, ("Not Found", "", "", None)),
    "fastapi list": (
        {"detail": [{"loc": ["body", "model"], "msg": "field required"}, {"msg": "two"}]},
        ("body.model: field required; two", "", "", None),
    ),
    "anthropic": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ("Overloaded", "overloaded_error", "", None),
    ),
    "list of errors": ({"errors": ["a", {"message": "b"}]}, ("a; b", "", "", None)),
    "list around it": ([{"error": {"message": "m", "code": 503}}], ("m", "", "503", 503)),
    "status_code": ({"status_code": 429, "message": "m"}, ("m", "", "", 429)),
    "openrouter": (
        {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "why"}}},
        ("Provider returned error: why", "", "400", 400),
    ),
    "object for a message": ({"error": {"message": {"a": 1}}}, ('{"a":1}', "", "", None)),
    "number": (17, ("17", "", "", None)),
    "null": (None, ("", "", "", None)),
    "empty object": ({}, ("", "", "", None)),
    "empty list": ([], ("", "", "", None)),
}


@pytest.mark.parametrize(("body", "expected"), SHAPES.values(), ids=SHAPES)
def test_every_body_shape_is_read(body, expected):
    assert expected == summary(read_error(json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", ""),
        (b" upstream connect error\n", "upstream connect error"),
        (b'{"error":"\xff"}', '{"error":"\N{REPLACEMENT CHARACTER}"}'),
    ],
)
def test_a_body_that_is_not_json_is_its_own_message(body, message):
    assert message == read_error(body).message


@pytest.mark.parametrize(
    ("body", "content_type"), [(b"\n<!DOCTYPE html><p>x", ""), (b"Bad gateway", "text/html")]
)
def test_a_web_page_is_not_a_message(body, content_type):
    assert ErrorBody(is_html=True) == read_error(body, content_type)


@given(st.binary() | st.text().map(str.encode))
def test_reading_never_fails(body):
    read_error(body)


@pytest.mark.parametrize("depth", [100, 500, 990, 5000])
@pytest.mark.parametrize("key", [b"message", b"error", b"detail", b"x"])
def test_deep_nesting_is_no_failure(key, depth):
    read_error(b'{"%b":' % key + b"[" * depth + b"]" * depth + b"}")
    read_error(b"[" * depth + b"]" * depth)
    read_error(b'{"message":' + b'{"%b":' % key * depth + b"1" + b"}" * depth + b"}")


BY_STATUS = [
    (400, 400, "invalid_request_error", None),
    (401, 401, "authentication_error", False),
    (402, 402, "billing_error", None),
    (403, 403, "permission_error", None),
    (404, 404, "not_found_error", None),
    (405, 500, "api_error", False),
    (408, 504, "timeout_error", None),
    (409, 409, "conflict_error", None),
    (413, 413, "request_too_large", None),
    (415, 500, "api_error", False),
    (418, 400, "invalid_request_error", None),
    (422, 400, "invalid_request_error", None),
    (429, 429, "rate_limit_error", None),
    (500, 500, "api_error", None),
    (501, 500, "api_error", None),
    (502, 502, "api_error", None),
    (503, 529, "overloaded_error", None),
    (504, 504, "timeout_error", None),
    (520, 502, "api_error", None),
    (524, 504, "timeout_error", None),
    (529, 529, "overloaded_error", None),
    (302, 502, "api_error", None),
    (599, 502, "api_error", None),
]


@pytest.mark.parametrize(("status", "client_status", "kind", "should_retry"), BY_STATUS)
def test_status_is_mapped_by_the_table(status, client_status, kind, should_retry):
    verdict = classify(status, ErrorBody())

    assert (client_status, kind, should_retry) == (
        verdict.status,
        verdict.kind,
        verdict.should_retry,
    )


BY_BODY = {
    "quota": (429, {"error": {"code": "insufficient_quota"}}, 402),
    "balance": (403, {"error": {"type": "insufficient_balance"}}, 402),
    "moderation": (403, {"error": {"message": "m", "metadata": {"reasons": ["x"]}}}, 400),
    "lm studio model": (400, {"error": "Model 'q' not found"}, 404),
    "litellm model": (400, {"error": {"message": "Invalid model name passed in model=zzz"}}, 404),
    "ollama model": (400, {"error": 'model "q:8b" not found, try pulling it first'}, 404),
    "cerebras queue": (429, {"message": "m", "code": "queue_exceeded"}, 529),
    "no server": (502, {"detail": "no available server"}, 529),
    "overloaded": (500, {"error": {"message": "Model is overloaded"}}, 529),
    "overloaded is no word for a bad request": (400, {"error": "overloaded method"}, 400),
}


@pytest.mark.parametrize(("status", "body", "client_status"), BY_BODY.values(), ids=BY_BODY)
def test_words_of_the_body_make_exceptions(status, body, client_status):
    assert client_status == classify(status, read_error_value(body)).status


def test_a_template_failure_is_not_worth_a_retry():
    verdict = classify(500, ErrorBody(message="Jinja Exception: No user query found"))

    assert (500, False) == (verdict.status, verdict.should_retry)


BY_NAME = [
    ({"error": {"type": "rate_limit_error"}}, "rate_limit_error"),
    ({"error": {"code": "too_many_requests"}}, "rate_limit_error"),
    ({"error": {"type": "insufficient_credits"}}, "billing_error"),
    ({"error": {"type": "billing_error"}}, "billing_error"),
    ({"error": {"code": "token_quota_exceeded"}}, "rate_limit_error"),
    ({"error": {"code": "wrong_api_key"}}, "authentication_error"),
    ({"error": {"type": "NotFoundError"}}, "not_found_error"),
    ({"error": {"type": "overloaded_error"}}, "overloaded_error"),
    ({"error": {"type": "service_unavailable"}}, "overloaded_error"),
    ({"error": {"type": "timeout_error"}}, "timeout_error"),
    ({"error": {"type": "BadRequestError"}}, "invalid_request_error"),
    ({"error": {"type": "invalid_request_error"}}, "invalid_request_error"),
    ({"error": {"type": "permission_error"}}, "permission_error"),
    ({"error": {"type": "request_too_large"}}, "request_too_large"),
    ({"error": {"type": "mystery"}}, "api_error"),
    ({"error": {"code": 503}}, "overloaded_error"),
    ({"error": {"code": "429", "type": "x"}}, "rate_limit_error"),
    ({"status_code": 404, "error": {"code": 500}}, "not_found_error"),
]


@pytest.mark.parametrize(("body", "kind"), BY_NAME)
def test_an_error_inside_a_200_is_mapped_by_its_body(body, kind):
    assert kind == classify(None, read_error_value(body)).kind


@pytest.mark.parametrize(
    ("status", "can_fail_over"),
    [
        *((status, False) for status in (400, 401, 402, 403, 404, 413, 422)),
        *((status, True) for status in (408, 429, 500, 502, 503, 504, 529)),
    ],
)
def test_only_faults_that_another_backend_may_not_have_fail_over(status, can_fail_over):
    error = rejected(ErrorBody(message="m"), status, backend="b", model="m")

    assert can_fail_over == error.can_fail_over


def test_message_names_the_backend_and_hides_secrets():
    error = rejected(
        ErrorBody(message="bad key topsecret and sk-abcdefghij"),
        401,
        backend="cerebras",
        model="m",
        secrets=("topsecret",),
    )

    assert error.message == "[cerebras] bad key [redacted] and [redacted]"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (503, ErrorBody(is_html=True), "[b] upstream returned HTML (status 503)"),
        (500, ErrorBody(), "[b] upstream returned status 500 without a reason"),
        (None, ErrorBody(), "[b] upstream returned status 500 without a reason"),
        (404, ErrorBody(message="gone"), "model: big: [b] gone"),
        (405, ErrorBody(message="no"), "[b] backend misconfigured: no"),
        (400, ErrorBody(message="x" * 3000), "[b] " + "x" * 1996),
    ],
)
def test_message_is_one_clear_sentence(status, body, message):
    assert message == rejected(body, status, backend="b", model="big").message


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, (("retry-after", "1.2"),), 1.2),
        (503, (("retry-after-ms", "250"),), 0.25),
        (429, (), 7.0),
        (500, (("retry-after", "3"),), 3.0),
        (500, (), None),
    ],
)
def test_retry_hints_are_kept_and_guessed_only_for_limits(status, headers, wait_s):
    body = ErrorBody(message="try again in 7s")

    assert wait_s == rejected(body, status, headers=headers, backend="b", model="m").retry_after_s
