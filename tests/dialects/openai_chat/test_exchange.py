"""One attempt: what is sent, how its answer is decoded, how a refused request is mended."""

from __future__ import annotations

import json

import msgspec
import pytest

from llmproxyd import __version__
from llmproxyd.dialects.openai_chat.errors import Mendable
from llmproxyd.dialects.openai_chat.exchange import ChatExchange
from llmproxyd.dialects.openai_chat.response import JSONDecoder
from llmproxyd.errors import Rejected, TimedOut
from llmproxyd.spi import Backend, BackendEntry, ResponseHead, Secret
from tests.dialects.openai_chat.calls import ENTRY, encoded
from tests.dialects.openai_chat.upstream import (
    DONE,
    completion,
    decode,
    event,
    feed,
    head,
    make_call,
    make_exchange,
    said,
    text_block,
)


def exchange_at(entry):
    call = make_call()
    target = msgspec.structs.replace(call.target, entry=entry)
    return ChatExchange(
        msgspec.structs.replace(call, target=target),
        encoded(b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}'),
    )


def entry_with(**fields):
    return msgspec.structs.replace(ENTRY, **fields)


def headers_of(exchange):
    return dict(exchange.request.headers)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:1", "http://h:1/v1/chat/completions"),
        ("http://h:1/v1", "http://h:1/v1/chat/completions"),
        ("https://h/openai/v1/", "https://h/openai/v1/chat/completions"),
    ],
)
def test_url(url, expected):
    assert expected == exchange_at(entry_with(url=url)).request.url


def test_headers_are_the_proxys_own():
    exchange = exchange_at(entry_with(secret=Secret("k-123")))
    assert {
        "authorization": "Bearer k-123",
        "content-type": "application/json",
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "user-agent": f"llmproxyd/{__version__}",
    } == headers_of(exchange)


def test_client_headers_never_go_up():
    headers = (
        ("x-api-key", "client"),
        ("anthropic-version", "2023-06-01"),
        ("X-Stainless-OS", "x"),
    )
    sent = headers_of(make_exchange(headers=headers))
    assert not {"x-api-key", "anthropic-version", "x-stainless-os", "authorization"} & set(sent)


def test_placeholder_key_is_sent_when_there_is_none():
    backend = Backend(kind="x", dialects=(), placeholder_key="dummy")
    entry = BackendEntry(name="x", backend=backend, url="http://h", dialect=None)
    assert "Bearer dummy" == headers_of(exchange_at(entry))["authorization"]


def test_request_always_streams():
    exchange = make_exchange(body={"stream": False})
    assert json.loads(exchange.request.body)["stream"] is True
    assert [] == exchange.local
    assert exchange.learned is None
    assert exchange.prompt_estimate > 0


def test_prompt_estimate_is_raw():
    raw = make_exchange().prompt_estimate
    assert raw == make_exchange(token_scale=2.0).prompt_estimate


def test_decoder_is_chosen_by_content_type():
    assert isinstance(make_exchange().decoder(head("application/json")), JSONDecoder)
    assert isinstance(make_exchange().decoder(head("Application/JSON; charset=utf-8")), JSONDecoder)


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_hit_of_an_upstream_cache_is_noted(content_type):
    cached = head(content_type, x_litellm_cache_key="litellm:0")
    answer = feed(make_exchange().decoder(cached), [completion({"content": "x"})])
    assert ("upstream_cache_hit",) == answer.decoder.notes


def test_each_decoder_begins_a_new_answer():
    exchange = make_exchange()
    first, second = (feed(exchange.decoder(head()), [said("x"), DONE]) for _ in range(2))
    assert [text_block("x")] == first.content == second.content
    assert first.message["id"] != second.message["id"]


def test_response_headers_name_the_upstream_model_and_request():
    assert [
        ("x-llmproxyd-upstream-model", "upstream-model"),
        ("x-llmproxyd-upstream-request-id", "req-7"),
    ] == make_exchange().response_headers(head(x_request_id="req-7", cf_ray="ray"))


@pytest.mark.parametrize("name", ["x_request_id", "x_litellm_call_id", "cf_ray", "inference_id"])
def test_upstream_request_id_under_any_name(name):
    headers = dict(make_exchange().response_headers(head(**{name: "id"})))
    assert "id" == headers["x-llmproxyd-upstream-request-id"]


def test_upstream_without_request_id():
    assert 1 == len(make_exchange().response_headers(head()))


def test_header_values_are_made_safe():
    headers = dict(make_exchange().response_headers(head(x_request_id="a\r\nb: é" + "x" * 500)))
    assert "a??b: ?" + "x" * 193 == headers["x-llmproxyd-upstream-request-id"]


OVERFLOW = {
    "error": {
        "message": "maximum context length is 32768 tokens. However, you requested 52000 tokens "
        "(20000 in the messages, 32000 in the completion)"
    }
}
LEARN = {"learn": True, "top_k": True, "max_tokens_field": "max_completion_tokens"}


def error_of(exchange, answer, status=400):
    return exchange.error(ResponseHead(status), json.dumps(answer).encode())


def refused(path):
    return {"message": f"property '{path}' is unsupported", "code": "wrong_api_format"}


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_smaller_budget_is_tried_once(field):
    exchange = make_exchange(flags={"max_tokens_field": field})
    mended = exchange.repaired(error_of(exchange, OVERFLOW))
    before, after = (json.loads(each.request.body) for each in (exchange, mended))
    assert before | {field: 32768 - 20000 - 64} == after
    assert list(before) == list(after)
    assert mended.learned is None
    assert exchange.request.headers == mended.request.headers
    again = error_of(mended, OVERFLOW)
    assert mended.repaired(again) is None


def test_mended_request_asks_for_less_in_its_own_errors():
    exchange = make_exchange()
    mended = exchange.repaired(error_of(exchange, OVERFLOW))
    error = error_of(mended, {"error": "maximum context length is 32768 tokens, prompt (21000)"})
    assert "21000 + 12704 > 32768" in error.message


def test_overflow_in_the_first_event_is_mended_too():
    exchange = make_exchange()
    answer = feed(exchange.decoder(head()), [event(OVERFLOW)])
    assert [] == answer.frames
    assert exchange.repaired(answer.failure) is not None


def test_refused_property_is_left_out_and_named():
    exchange = make_exchange(flags=LEARN, body={"top_k": 5})
    assert 5 == json.loads(exchange.request.body)["top_k"]
    mended = exchange.repaired(error_of(exchange, refused("top_k")))
    assert "top_k" == mended.learned
    body = json.loads(mended.request.body)
    assert "top_k" not in body
    assert mended.repaired(error_of(mended, refused("top_p"))) is None


def test_refused_stop_is_matched_here_from_then_on():
    exchange = make_exchange(flags=LEARN, body={"stop_sequences": ["END"]})
    mended = exchange.repaired(error_of(exchange, refused("body.stop")))
    assert "stop" not in json.loads(mended.request.body)
    answer = feed(mended.decoder(head()), [said("aENDb")])
    assert [text_block("a")] == answer.content


@pytest.mark.parametrize(
    "path", ["messages", "tools", "max_tokens", "max_completion_tokens", "model", "unheard_of"]
)
def test_what_a_request_needs_is_never_left_out(path):
    exchange = make_exchange(flags=LEARN)
    error = error_of(exchange, refused(path))
    assert isinstance(error, Mendable)
    assert exchange.repaired(error) is None


def test_other_errors_can_not_be_mended():
    exchange = make_exchange()
    assert exchange.repaired(TimedOut("too late")) is None
    assert exchange.repaired(error_of(exchange, {"error": "no"})) is None
    assert type(error_of(exchange, {"error": "no"})) is Rejected


def test_mended_request_keeps_what_was_learned_before():
    exchange = make_exchange(flags=LEARN, body={"top_k": 5, "top_p": 0.5}, dropped=("top_p",))
    mended = exchange.repaired(error_of(exchange, refused("top_k")))
    assert not {"top_p", "top_k"} & set(json.loads(mended.request.body))


def test_answer_is_decoded_with_the_requests_own_names():
    assert "claude-x" == decode(said("x"), DONE).message["model"]
