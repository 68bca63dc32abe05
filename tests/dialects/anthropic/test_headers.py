from __future__ import annotations

import msgspec
import pytest

from llmproxyd.dialects.anthropic.headers import (
    request_headers,
    response_headers,
    sends_client_key,
)
from llmproxyd.spi import ResponseHead
from tests.dialects.anthropic.calls import GENUINE, IMITATION, make_call

CANARY = "sk-ant-api03-canary-of-the-client"
CLIENT_KEYS = (("X-Api-Key", CANARY), ("Authorization", f"Bearer {CANARY}"))
JSON_TYPE = ("Content-Type", "application/json")
IDENTITY = ("accept-encoding", "identity")


def names(headers):
    return {name.lower() for name, _ in headers}


def test_unknown_headers_keep_name_value_case_and_order():
    sent = (
        ("Accept", "application/json"),
        JSON_TYPE,
        ("User-Agent", "claude-cli/2.1.330 (external, cli)"),
        ("X-Claude-Code-Session-Id", "1"),
        ("anthropic-beta", "a-1, b-2"),
        ("anthropic-version", "2026-10-21"),
        ("X-Repo", "one"),
        ("x-repo", "two"),
    )

    assert (*sent, IDENTITY) == request_headers(make_call(headers=sent))


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Expect",
        "Host",
        "Content-Length",
        "Content-Encoding",
        "Accept-Encoding",
        "Cookie",
        "Forwarded",
        "X-Forwarded-For",
        "X-LLMProxyd-Backend",
    ],
)
def test_headers_of_the_connection_stay_here(name):
    sent = request_headers(make_call(headers=((name, "value"), JSON_TYPE)))

    assert (JSON_TYPE, IDENTITY) == sent


def test_headers_named_in_connection_stay_here():
    headers = (("Connection", "keep-alive, X-Hop"), ("x-hop", "1"), ("X-End", "2"), JSON_TYPE)

    assert (("X-End", "2"), JSON_TYPE, IDENTITY) == request_headers(make_call(headers=headers))


def test_a_missing_content_type_is_added():
    assert ("content-type", "application/json") in request_headers(make_call())


def test_client_credentials_pass_to_the_backend_they_are_for():
    headers = request_headers(make_call(headers=CLIENT_KEYS))

    assert CLIENT_KEYS == headers[:2]


@pytest.mark.parametrize(
    ("backend", "secret", "credentials"),
    [
        (GENUINE, "sk-ant-api-ours", (("x-api-key", "sk-ant-api-ours"),)),
        (GENUINE, "sk-ant-oat01-ours", (("authorization", "Bearer sk-ant-oat01-ours"),)),
        (IMITATION, "ours", (("x-api-key", "ours"), ("authorization", "Bearer ours"))),
        (IMITATION, None, ()),
    ],
)
def test_a_configured_key_replaces_the_clients_own(backend, secret, credentials):
    call = make_call(headers=(*CLIENT_KEYS, JSON_TYPE), backend=backend, secret=secret)

    assert (JSON_TYPE, *credentials, IDENTITY) == request_headers(call)


def test_a_placeholder_key_is_sent_where_there_is_none():
    backend = msgspec.structs.replace(IMITATION, placeholder_key="dummy")
    call = make_call(headers=CLIENT_KEYS, backend=backend)

    expected = (("x-api-key", "dummy"), ("authorization", "Bearer dummy"), IDENTITY)
    assert expected == request_headers(call)[1:]


@pytest.mark.parametrize("secret", [None, "ours"])
@pytest.mark.parametrize(
    "headers",
    [CLIENT_KEYS, (("x-API-key", CANARY),), (("AUTHORIZATION", f"Basic {CANARY}"),)],
)
def test_client_credentials_never_leak_to_another_host(headers, secret):
    sent = request_headers(make_call(headers=headers, backend=IMITATION, secret=secret))

    assert CANARY not in repr(sent)


def test_whose_key_is_sent_is_known():
    assert sends_client_key(make_call().target.entry)
    assert not sends_client_key(make_call(secret="ours").target.entry)
    assert not sends_client_key(make_call(backend=IMITATION).target.entry)


@pytest.mark.parametrize(
    ("stripped", "value", "sent"),
    [
        ((), "a-1,  b-2", "a-1,  b-2"),
        (("c-3",), "a-1,  b-2", "a-1,  b-2"),
        (("a-1",), "a-1, b-2,c-3", "b-2,c-3"),
        (("a-*", "c-3"), "a-1,b-2,c-3,a-9", "b-2"),
    ],
)
def test_betas_are_stripped_only_where_a_backend_rejects_them(stripped, value, sent):
    call = make_call(headers=(("Anthropic-Beta", value),), strip_betas=stripped)

    assert ("Anthropic-Beta", sent) == request_headers(call)[0]


def test_a_beta_list_without_rest_is_not_sent():
    call = make_call(headers=(("anthropic-beta", "a-1"),), strip_betas=("*",))

    assert "anthropic-beta" not in names(request_headers(call))


def test_response_headers_pass_but_for_those_of_connection_and_site():
    head = ResponseHead(
        200,
        (
            ("content-type", "text/event-stream"),
            ("date", "now"),
            ("server", "cloudflare"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("set-cookie", "id=1"),
            ("access-control-allow-origin", "*"),
            ("x-llmproxyd-upstream-model", "m"),
            ("content-length", "10"),
            ("request-id", "req_up"),
            ("retry-after", "3"),
            ("x-should-retry", "true"),
            ("anthropic-ratelimit-tokens-remaining", "5"),
            ("anthropic-organization-id", "org"),
            ("x-new", "1"),
        ),
    )

    assert [
        ("request-id", "req_up"),
        ("retry-after", "3"),
        ("x-should-retry", "true"),
        ("anthropic-ratelimit-tokens-remaining", "5"),
        ("anthropic-organization-id", "org"),
        ("x-new", "1"),
    ] == response_headers(head)
