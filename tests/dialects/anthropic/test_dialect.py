"""The dialect as a whole: recorded requests go up unchanged, recorded answers come back so."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from llmproxyd.dialects.anthropic.dialect import Anthropic
from llmproxyd.errors import BadRequest
from llmproxyd.spi import Dialect, Exchange, ResponseDecoder, ResponseHead
from llmproxyd.wire.fold import fold
from llmproxyd.wire.messages import MessagesRequest
from llmproxyd.wire.signature import is_ours
from tests.dialects.anthropic.calls import SSE, imitated, make_call
from tests.dialects.anthropic.legality import assert_legal

TESTS = Path(__file__).parents[2]
FIXTURES = sorted((TESTS / "fixtures").glob("*.json"))
# The one fixture whose history a genuine backend would refuse.
UNSIGNED = "330-unsigned-thinking-followup"
KEPT_HERE = {"connection", "host", "accept-encoding", "content-length"}
COUNTS = {
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
}


def load(path):
    return json.loads(path.read_bytes())


def is_message_post(fixture):
    return fixture["method"] == "POST" and fixture["path"].startswith("/v1/messages")


REQUESTS = {path.stem: load(path) for path in FIXTURES if is_message_post(load(path))}
RECORDINGS = {
    path.stem: load(path)
    for path in sorted((TESTS / "recordings").glob("*/*.json"))
    if "/v1/messages" in load(path)["request"]["url"]
}
ANSWERS = {name: it for name, it in RECORDINGS.items() if it["response"]["status"] == 200}
ERRORS = {name: it for name, it in RECORDINGS.items() if it["response"]["status"] != 200}


def fixture_call(fixture, **options):
    path, _, query = fixture["path"].partition("?")
    body = json.dumps(fixture["body"], ensure_ascii=False).encode()
    headers = tuple((name, value) for name, value in fixture["headers"])
    return path, make_call(body, headers=headers, query=query, **options)


def recorded_body(recording):
    body = recording["response"]["body"]
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def decode(call, raw, head=SSE):
    decoder = Anthropic().exchange(call).decoder(head)
    frames = decoder.feed(raw) + decoder.end()
    assert decoder.failure is None
    return frames, decoder


def content(message):
    """What a message says, without what repair may add."""
    blocks = []
    for block in message["content"]:
        if block["type"] == "text" and not block["text"].strip():
            continue
        kept = dict(block)
        if not kept.get("signature") or is_ours(kept["signature"]):
            kept.pop("signature", None)
        blocks.append(kept)
    return blocks


def test_there_is_something_to_prove():
    assert len(REQUESTS) > 40
    assert len(ANSWERS) > 80
    assert len(ERRORS) > 5


@pytest.mark.parametrize("fixture", REQUESTS.values(), ids=REQUESTS)
def test_recorded_requests_pass_byte_for_byte(fixture):
    path, call = fixture_call(fixture)
    dialect = Anthropic()
    is_count = path.endswith("/count_tokens")

    request = dialect.count_request(call) if is_count else dialect.exchange(call).request

    assert f"http://box:1{fixture['path'].replace('/r/projA', '')}" == request.url
    assert "POST" == request.method
    if fixture is not REQUESTS[UNSIGNED]:
        assert call.request.raw == request.body
    expected = [(n, v) for n, v in fixture["headers"] if n.lower() not in KEPT_HERE]
    assert [*expected, ("accept-encoding", "identity")] == list(request.headers)


def test_a_recorded_history_with_unsigned_thinking_loses_only_that():
    _, call = fixture_call(REQUESTS[UNSIGNED])
    before = json.loads(call.request.raw)

    after = json.loads(Anthropic().exchange(call).request.body)

    for message in before["messages"]:
        if isinstance(message["content"], list):
            message["content"] = [
                block for block in message["content"] if block.get("signature") != ""
            ]
    assert before == after
    assert json.loads(call.request.raw) != after


@pytest.mark.parametrize("fixture", REQUESTS.values(), ids=REQUESTS)
def test_a_mapped_model_changes_nothing_else_in_recorded_requests(fixture):
    _, call = fixture_call(fixture, model="mapped", repair=True)
    asked = json.dumps(fixture["body"]["model"]).encode()

    request = Anthropic().exchange(call).request

    assert call.request.raw.replace(asked, b'"mapped"', 1) == request.body


@pytest.mark.parametrize("recording", ANSWERS.values(), ids=ANSWERS)
def test_recorded_answers_pass_byte_for_byte(recording):
    raw = recorded_body(recording)

    frames, decoder = decode(make_call({"stream": recording["response"]["stream"]}), raw)

    assert raw == b"".join(frame.wire for frame in frames)
    assert decoder.usage is not None


GENUINE = {name: it for name, it in ANSWERS.items() if "anthropic.com" in it["request"]["url"]}


@pytest.mark.parametrize("recording", GENUINE.values(), ids=GENUINE)
def test_repair_leaves_genuine_answers_as_they_are(recording):
    raw = recorded_body(recording)
    body = {"stream": recording["response"]["stream"]}

    exact, _ = decode(make_call(body), raw)
    repaired, _ = decode(imitated(body), raw)

    before, after = json.loads(fold(exact)), json.loads(fold(repaired))
    assert {**before, "id": 0, "model": 0} == {**after, "id": 0, "model": 0}


@pytest.mark.parametrize("recording", ANSWERS.values(), ids=ANSWERS)
def test_repaired_answers_are_legal(recording):
    frames, _ = decode(imitated(), recorded_body(recording))

    assert_legal(frames)


IMITATED = {
    name: it
    for name, it in ANSWERS.items()
    if name not in GENUINE
    and name not in ("llamacpp-think-messages-sse", "litellm-messages-think-sse")
}


@pytest.mark.parametrize("recording", IMITATED.values(), ids=IMITATED)
def test_repair_keeps_the_content_of_imitated_answers(recording):
    raw = recorded_body(recording)
    body = {"stream": recording["response"]["stream"]}

    before = json.loads(fold(decode(make_call(body), raw)[0]))
    after = json.loads(fold(decode(imitated(body), raw)[0]))

    assert content(before) == content(after)
    assert before["stop_reason"] == after["stop_reason"]
    zeros = dict.fromkeys(COUNTS, 0)
    assert {**zeros, **before["usage"]} == {**zeros, **after["usage"]}


@pytest.mark.parametrize("name", ["llamacpp-think-messages-sse", "litellm-messages-think-sse"])
def test_recorded_thinking_that_overlaps_or_hides_in_text_is_set_right(name):
    frames, _ = decode(imitated(), recorded_body(ANSWERS[name]))

    blocks = json.loads(fold(frames))["content"]

    assert [
        {"type": "thinking", "thinking": "\nLet me see what they want."},
        {"type": "text", "text": "The answer is forty two!"},
    ] == [{k: v for k, v in block.items() if k != "signature"} for block in blocks]
    assert is_ours(blocks[0]["signature"])


@pytest.mark.parametrize("recording", ERRORS.values(), ids=ERRORS)
def test_recorded_errors_pass_byte_for_byte(recording):
    raw, status = recorded_body(recording), recording["response"]["status"]
    exchange = Anthropic().exchange(make_call())

    error = exchange.error(ResponseHead(status, (("request-id", "r"),)), raw)

    assert raw == error.verbatim.body
    assert status == error.verbatim.status
    assert ("request-id", "r") in error.verbatim.headers


def test_tokens_are_estimated_from_the_body_and_scaled():
    body = {"messages": [{"role": "user", "content": "hello " * 100}]}
    dialect = Anthropic()

    once = dialect.estimate_tokens(make_call(body))

    assert once > 50
    assert 2 * once == dialect.estimate_tokens(make_call(body, token_scale=2.0))


def test_a_body_that_is_no_json_can_not_be_estimated():
    call = msgspec.structs.replace(make_call(), request=MessagesRequest(b"{", "m"))

    with pytest.raises(BadRequest):
        Anthropic().estimate_tokens(call)


def test_linked_images_are_left_to_the_backend():
    assert [] == Anthropic().remote_images(make_call())


def test_the_dialect_fits_its_contract():
    dialect: Dialect = Anthropic()
    exchange: Exchange = dialect.exchange(make_call())
    decoder: ResponseDecoder = exchange.decoder(SSE)

    assert "anthropic" == dialect.name
    assert decoder.usage is None
