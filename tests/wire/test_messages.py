"""What is read of a request before it is routed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.errors import BadRequest
from llmproxyd.wire.messages import MessagesRequest, decode_body, parse_request


def test_routing_fields_are_read_and_the_bytes_kept():
    raw = b'{"model": "m", "stream": true, "max_tokens": 5, "unknown": {"model": "n"}}'
    request = parse_request(raw, (("X-A", "1"),), "beta=true")
    assert request == MessagesRequest(raw, "m", True, 5, (("X-A", "1"),), "beta=true")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"m"}', (False, None)),
        (b'{"model":"m","stream":false}', (False, None)),
        (b'{"model":"m","stream":null}', (False, None)),
        (b'{"model":"m","max_tokens":0}', (False, 0)),
        (b'{"model":"m","max_tokens":"5"}', (False, None)),
        (b'{"model":"m","max_tokens":true}', (False, None)),
    ],
)
def test_absent_and_odd_values_are_left_to_the_dialect(body, expected):
    request = parse_request(body)
    assert (request.stream, request.max_tokens) == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "model: Field required"),
        (b'{"model":null}', "model: Field required"),
        (b'{"model":7}', "model: Input should be a valid string"),
        (b'{"model":" "}', "model: Input should be a valid string"),
        (b'{"model":"m","stream":"yes"}', "stream: Input should be a valid boolean"),
        (b"[1]", "the request body must be a JSON object"),
        (b'"x"', "the request body must be a JSON object"),
        (b"", "the request body is not valid JSON"),
        (b"{", "the request body is not valid JSON"),
        (b"\xff\xfe", "the request body is not valid JSON"),
        (b'{"model":"\xff"}', "the request body is not valid JSON"),
        (b'{"a":' + b"[" * 200_000, "the request body is nested too deeply"),
    ],
)
def test_what_can_not_be_routed_is_refused_with_one_sentence(body, message):
    with pytest.raises(BadRequest) as caught:
        parse_request(body)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb"\ud800", "\ufffd"),
        (rb"\udc00x", "\ufffdx"),
        (rb"\uD83D", "\ufffd"),
        (rb"a\ud83d\ude00b", "a😀b"),
        (rb"\ud83d\ud83d\ude00", "\ufffd😀"),
        (rb"\\ud800", r"\ud800"),
        (rb"\\\ud800", "\\\ufffd"),
        (rb"\ud83d\ude00\ud800", "😀\ufffd"),
    ],
)
def test_lone_surrogates_become_replacement_characters(text, expected):
    raw = b'{"model":"m","text":"' + text + b'"}'
    assert decode_body(raw)["text"] == expected
    assert parse_request(raw).model == "m"


def test_body_must_be_an_object():
    with pytest.raises(BadRequest):
        decode_body(b"[]")


def test_header_is_found_in_any_case_and_the_first_one_counts():
    request = parse_request(b'{"model":"m"}', (("X-Api-Key", "a"), ("x-api-key", "b")))
    assert (request.header("x-api-key"), request.header("cookie")) == ("a", None)


@given(st.binary(max_size=60))
def test_garbage_raises_only_our_error(body):
    try:
        parse_request(body)
        decode_body(body)
    except BadRequest:
        pass
