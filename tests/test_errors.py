"""What each error says of itself."""

from __future__ import annotations

import pytest

from llmproxyd.errors import (
    BadRequest,
    BrokeProtocol,
    ConfigError,
    Draining,
    Problem,
    ProxyError,
    Rejected,
    TimedOut,
    TooLarge,
    Unreachable,
    Verbatim,
)


@pytest.mark.parametrize(
    ("kind", "status", "name", "can_fail_over"),
    [
        (ProxyError, 500, "api_error", False),
        (BadRequest, 400, "invalid_request_error", False),
        (TooLarge, 413, "request_too_large", False),
        (Draining, 529, "overloaded_error", False),
        (Unreachable, 502, "api_error", True),
        (TimedOut, 504, "timeout_error", True),
        (BrokeProtocol, 502, "api_error", True),
    ],
)
def test_class_fixes_status_and_type(kind, status, name, can_fail_over):
    error = kind("why")
    assert (error.status, error.kind, error.can_fail_over) == (status, name, can_fail_over)
    assert (str(error), error.message) == ("why", "why")
    assert (error.retry_after_s, error.should_retry) == (None, None)


def test_details_override_the_class():
    error = Rejected(
        "no", status=403, kind="permission_error", should_retry=False, can_fail_over=False
    )
    assert (error.status, error.kind) == (403, "permission_error")
    assert (error.should_retry, error.can_fail_over, error.verbatim) == (False, False, None)


def test_rejection_keeps_the_backends_own_words():
    words = Verbatim(418, (), b"teapot")
    assert Rejected("x", status=418, kind="api_error", verbatim=words).verbatim is words


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (
            Problem("a.b", "is wrong", "mend it", "c.toml", 3, 7),
            "c.toml:3:7: a.b: is wrong (mend it)",
        ),
        (Problem("a.b", "is wrong"), "a.b: is wrong"),
        (Problem("", "is wrong", file="LLM_BACKEND"), "LLM_BACKEND: is wrong"),
    ],
)
def test_problem_reads_as_place_key_and_sentence(problem, expected):
    assert str(problem) == expected


def test_config_error_lists_every_problem():
    error = ConfigError([Problem("a", "x"), Problem("b", "y")])
    assert str(error) == "a: x\nb: y"
