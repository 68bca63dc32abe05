"""The dialect as the rest of the proxy sees it."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.errors import BadRequest
from llmproxyd.spi import Dialect, Limits
from llmproxyd.wire.tokens import estimate_prompt_tokens
from tests.dialects.openai_chat.calls import body_of, call_of, image, image_at, tool, user
from tests.dialects.openai_chat.upstream import make_call

DIALECT: Dialect = OpenAIChat()


def test_name():
    assert "openai" == DIALECT.name


def test_nothing_is_asked_for_a_count():
    assert DIALECT.count_request(make_call()) is None


@pytest.mark.parametrize(
    ("flags", "content", "expected"),
    [
        ({"image_url": "fetch"}, image_at("http://x/a.png"), ["http://x/a.png"]),
        ({"image_url": "fetch"}, image(), []),
        ({"image_url": "pass"}, image_at("http://x/a.png"), []),
    ],
)
def test_linked_images_are_listed_for_a_backend_that_can_not_follow_links(flags, content, expected):
    assert expected == DIALECT.remote_images(call_of(body_of(user(content)), flags=flags))


def test_estimate_counts_the_whole_request():
    body = body_of(user("hi"), system="word " * 400, tools=[tool("Bash")])
    assert estimate_prompt_tokens(body) == DIALECT.estimate_tokens(call_of(body))


def test_estimate_needs_no_max_tokens():
    body = body_of(user("hi"))
    del body["max_tokens"]
    assert DIALECT.estimate_tokens(call_of(body)) > 0


def test_estimate_is_scaled_by_what_was_learned():
    body = body_of(user("word " * 1000))
    raw = DIALECT.estimate_tokens(call_of(body))
    assert raw * 2 == DIALECT.estimate_tokens(call_of(body, token_scale=2.0))


def test_estimate_follows_the_models_abilities():
    body = body_of(user(image()))
    blind = DIALECT.estimate_tokens(call_of(body, flags={"vision": False}))
    assert blind < DIALECT.estimate_tokens(call_of(body))


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (None, "messages: Field required"),
        ("x", "messages: Input should be a valid array"),
        ([], "messages: at least one message is required"),
        ([{"role": "user", "content": 7}], "messages.0.content: "),
    ],
)
def test_estimate_of_a_malformed_request(messages, problem):
    with pytest.raises(BadRequest, match=problem):
        DIALECT.estimate_tokens(call_of({"model": "m", "messages": messages}))


@pytest.mark.parametrize("depth", [100, 400, 900])
def test_estimate_of_a_deeply_nested_request(depth):
    schema = b'{"items":' * depth + b"{}" + b"}" * depth
    raw = b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"name":"T","input_schema":%b}]}'
    assert DIALECT.estimate_tokens(call_of(raw % schema)) > 0


def test_malformed_request_is_refused():
    with pytest.raises(BadRequest, match="max_tokens: Field required"):
        DIALECT.exchange(call_of({"model": "m", "messages": [user("hi")]}))


def test_e09_prompt_that_would_be_cut_silently_is_refused_here():
    call = make_call(
        body={"system": "word " * 16_000},
        flags={"preflight": True},
        limits=Limits(context_window=4096),
        token_scale=1.0,
    )
    with pytest.raises(BadRequest, match=r"prompt is too long: 2\d{4} tokens > 4096 maximum"):
        DIALECT.exchange(call)
