from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.anthropic.request import build_request
from llmproxyd.wire.signature import sign
from tests.dialects.anthropic.calls import imitated, make_call

UNUSUAL = b'{ "max_tokens":1, "x":{"model":"asked"},"model" : "ask\\u0065d", "n":1.0 }'
WITH_OURS = json.dumps(
    {
        "model": "asked",
        "messages": [
            {"role": "user", "content": "u"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "r", "signature": sign("r")},
                    {"type": "text", "text": "t"},
                ],
            },
        ],
    }
).encode()


@pytest.mark.parametrize(
    ("query", "path", "url"),
    [
        ("beta=true", "messages", "http://box:1/v1/messages?beta=true"),
        ("", "messages", "http://box:1/v1/messages"),
        ("a=%20&b", "messages/count_tokens", "http://box:1/v1/messages/count_tokens?a=%20&b"),
    ],
)
def test_url_has_the_clients_query(query, path, url):
    assert url == build_request(make_call(query=query), path).url


def test_body_goes_up_as_it_came():
    request = build_request(make_call(UNUSUAL), "messages")

    assert (UNUSUAL, ()) == (request.body, request.notes)


def test_a_mapped_model_replaces_only_its_own_bytes():
    request = build_request(make_call(UNUSUAL, model='real/"1"'), "messages")

    assert UNUSUAL.replace(b'"ask\\u0065d"', b'"real/\\"1\\""') == request.body


def test_fields_that_a_backend_rejects_are_stripped_and_noted():
    call = make_call({"context_management": {}, "x": 1}, strip_fields=("context_management", "y"))

    request = build_request(call, "messages")

    assert "context_management" not in json.loads(request.body)
    assert json.loads(request.body)["x"] == 1
    assert ("dropped:context_management",) == request.notes


def test_foreign_thinking_is_taken_out_before_a_genuine_backend():
    request = build_request(make_call(WITH_OURS), "messages")

    assert [{"type": "text", "text": "t"}] == json.loads(request.body)["messages"][1]["content"]
    assert ("dropped:foreign_thinking",) == request.notes


def test_an_imitation_gets_its_thinking_back():
    assert WITH_OURS == build_request(imitated(WITH_OURS), "messages").body


def test_a_repeated_prefix_gives_the_same_bytes():
    first = build_request(make_call(WITH_OURS, model="real"), "messages").body

    assert first == build_request(make_call(WITH_OURS, model="real"), "messages").body
