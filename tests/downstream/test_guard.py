"""Who is refused at the proxy port."""

from __future__ import annotations

import pytest

from llmproxyd.downstream.guard import check, names_loopback, refusal
from llmproxyd.errors import DownstreamError

HOST = {"Host": "localhost:8000"}
WELCOME = [
    ("GET", {}),
    ("POST", {"Content-Type": "application/json"}),
    ("POST", {"Content-Type": "application/json; charset=utf-8"}),
    ("POST", {}),
    ("GET", {"Sec-Fetch-Site": "none"}),
]
REFUSED = [
    ("GET", {"Origin": "https://evil.example"}, "web pages"),
    ("POST", {"Origin": "null", "Content-Type": "application/json"}, "web pages"),
    ("GET", {"Sec-Fetch-Site": "cross-site"}, "web pages"),
    ("GET", {"Sec-Fetch-Site": "same-site"}, "web pages"),
    ("POST", {"Content-Type": "text/plain"}, "application/json"),
    ("POST", {"Content-Type": "application/x-www-form-urlencoded"}, "application/json"),
    ("GET", {"Host": "evil.example:8000"}, "Host"),
    ("GET", {"Host": ""}, "Host"),
]


@pytest.mark.parametrize(("method", "headers"), WELCOME)
def test_programs_are_welcome(method, headers):
    assert refusal(method, HOST | headers, is_loopback_only=True) is None


@pytest.mark.parametrize(("method", "headers", "why"), REFUSED)
def test_browsers_and_foreign_names_are_refused(method, headers, why):
    assert why in (refusal(method, HOST | headers, is_loopback_only=True) or "")


def test_any_host_name_is_fine_beyond_loopback():
    assert refusal("GET", {"Host": "proxy.lan:8000"}, is_loopback_only=False) is None


def test_refusal_is_a_403_that_is_not_retried():
    with pytest.raises(DownstreamError) as caught:
        check("GET", {"Origin": "https://evil.example"}, is_loopback_only=True)
    assert (caught.value.status, caught.value.kind) == (403, "permission_error")
    assert caught.value.should_retry is False


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("127.0.0.1", True),
        ("127.0.0.1:1", True),
        ("127.8.9.1:1", True),
        ("[::1]", True),
        ("[::1]:8000", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:8000", False),
        ("evil.example", False),
        ("10.0.0.1:8000", False),
        ("0.0.0.0:8000", False),
        (":8000", False),
        ("", False),
        ("[evil]:1", False),
        ("localhost:8000:9", False),
    ],
)
def test_only_loopback_names_count_as_loopback(host, expected):
    assert names_loopback(host) is expected
