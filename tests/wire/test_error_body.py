"""The error envelope (section 4)."""

from __future__ import annotations

import json

import pytest

from llmproxyd.errors import BadRequest, ProxyError, Rejected
from llmproxyd.wire.error_body import error_body, error_frame, error_headers

ENVELOPE = {
    "type": "error",
    "error": {"type": "api_error", "message": 'a "b"\n'},
    "request_id": "req_1",
}


def test_body_is_the_envelope():
    assert ENVELOPE == json.loads(error_body("api_error", 'a "b"\n', "req_1"))


def test_event_is_the_envelope_on_one_line():
    frame = error_frame("api_error", 'a "b"\n', "req_1")
    assert ENVELOPE == json.loads(frame.data)
    assert frame.wire.startswith(b"event: error\ndata: {")
    assert 3 == frame.wire.count(b"\n")


@pytest.mark.parametrize(
    ("wait_s", "expected"),
    [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.2, "2"), (59.5, "60"), (86400.0, "86400")],
)
def test_wait_is_a_whole_number_of_seconds(wait_s, expected):
    assert [("retry-after", expected)] == error_headers(Rejected("x", retry_after_s=wait_s))


@pytest.mark.parametrize(("should_retry", "expected"), [(True, "true"), (False, "false")])
def test_advice_to_retry(should_retry, expected):
    error = ProxyError("x", should_retry=should_retry)
    assert [("x-should-retry", expected)] == error_headers(error)


def test_id_that_the_backend_gave_the_request():
    error = Rejected("x")
    error.upstream_request_id = "up-1"
    assert [("x-llmproxyd-upstream-request-id", "up-1")] == error_headers(error)


def test_no_hints():
    assert [] == error_headers(BadRequest("x"))
