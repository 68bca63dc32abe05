"""Plain JSON answers: cases P01 to P12 of the translation spec, other content types, sniffing."""

from __future__ import annotations

import pytest

from llmproxyd.wire.sse import MAX_EVENT_BYTES
from tests.dialects.openai_chat.calls import assistant, text, tool_result, tool_use, user
from tests.dialects.openai_chat.upstream import (
    DONE,
    JSON,
    STREAM,
    chunk,
    completion,
    decode,
    decode_json,
    feed,
    head,
    make_exchange,
    said,
    text_block,
    thinking_block,
    tool_block,
    unparsed,
)


def call(arguments, name="Bash", **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def calls(*listed, finish="tool_calls"):
    return completion({"content": None, "tool_calls": list(listed)}, finish)


def test_p01_text_becomes_one_block():
    message = decode_json(completion({"role": "assistant", "content": "hi"})).message
    assert [text_block("hi")] == message["content"]
    assert ("end_turn", None) == (message["stop_reason"], message["stop_sequence"])
    assert {
        "input_tokens": 10,
        "output_tokens": 3,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    } == message["usage"]
    assert "claude-x" == message["model"]


def test_p02_stop_with_a_call_is_tool_use():
    assert "tool_use" == decode_json(calls(call("{}"), finish="stop")).message["stop_reason"]


def test_p03_tool_calls_without_a_call_is_end_turn():
    answer = decode_json(completion({"content": "x", "tool_calls": []}, "tool_calls"))
    assert [text_block("x")] == answer.content
    assert "end_turn" == answer.message["stop_reason"]
    assert ("finish_reason_without_tool_call",) == answer.decoder.notes


@pytest.mark.parametrize("tool_id", [None, "", "functions.Bash:0", "x" * 65, 7, "used"])
def test_p04_unusable_id_is_minted(tool_id):
    history = (user("hi"), assistant(text("ok"), tool_use("used")), user(tool_result("used")))
    message = decode_json(calls(call("{}", id=tool_id)), body={"messages": list(history)}).message
    assert message["content"][0]["id"].startswith("toolu_000")


def test_p04_usable_id_is_kept():
    message = decode_json(calls(call("{}", id="call_1"))).message
    assert "call_1" == message["content"][0]["id"]


def test_p04_two_calls_with_one_id_get_two():
    content = decode_json(calls(call("{}", id="c"), call("{}", id="c"))).message["content"]
    assert "c" == content[0]["id"]
    assert content[1]["id"].startswith("toolu_")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        (None, {}),
        ("  ", {}),
        ({"a": 1}, {"a": 1}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ('{}{"a":1}', {"a": 1}),
        ('{"a":', unparsed('{"a":')),
    ],
)
def test_p05_arguments(arguments, expected):
    assert [tool_block(expected)] == decode_json(calls(call(arguments))).content


def test_p06_usage_with_cache_and_reasoning():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert {
        "input_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 10,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    } == decode_json(completion({"content": "x"}, usage=usage)).message["usage"]


def test_p07_reasoning_in_two_fields_is_one_block():
    reply = {"reasoning": "abc", "reasoning_content": "abc", "content": "x"}
    message = decode_json(completion(reply)).message
    assert ["thinking", "text"] == [block["type"] for block in message["content"]]
    assert "abc" == message["content"][0]["thinking"]
    assert message["content"][0]["signature"]


def test_p08_think_tags_at_the_beginning_are_thinking():
    answer = decode_json(completion({"content": "<think>r</think>\n\nans"}))
    assert [thinking_block("r"), text_block("ans")] == answer.content


def test_p08_think_tags_elsewhere_are_text():
    answer = decode_json(completion({"content": "use <think> tags"}))
    assert [text_block("use <think> tags")] == answer.content


def test_p09_content_filter_is_a_refusal():
    message = decode_json(completion({"content": "I"}, "content_filter")).message
    assert "refusal" == message["stop_reason"]
    assert {"type": "refusal", "category": None, "explanation": None} == message["stop_details"]


def test_p10_finish_reason_error_is_an_error_and_no_message():
    answer = decode_json(completion({"content": "half"}, "error"))
    assert [] == answer.frames
    assert (500, "api_error") == (answer.failure.status, answer.failure.kind)
    assert '[test] upstream ended its answer with finish_reason "error"' == answer.failure.message


def test_p11_error_in_a_200_answer():
    answer = decode_json(b'{"error":{"code":429,"message":"m"}}')
    assert [] == answer.frames
    assert (429, "rate_limit_error") == (answer.failure.status, answer.failure.kind)


def test_p12_upstream_ids_are_never_used():
    body = completion({"content": "x"})
    ids = {decode_json(body, entropy=entropy).message["id"] for entropy in numbered(1000)}
    assert 1000 == len(ids)
    assert not any("chatcmpl" in message_id for message_id in ids)


def numbered(count):
    """Random sources that all differ."""
    return [lambda n, number=number: f"{number:0{n}}" for number in range(count)]


def test_order_is_thinking_text_refusal_calls():
    reply = {
        "tool_calls": [call('{"a":1}'), call('{"b":2}', "Read")],
        "refusal": "no",
        "content": "t",
        "reasoning_content": "r",
    }
    assert [
        thinking_block("r"),
        text_block("tno"),
        tool_block({"a": 1}),
        tool_block({"b": 2}, "Read"),
    ] == decode_json(completion(reply)).content


def test_content_parts_are_joined():
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image"},
        "junk",
        {"type": "text", "text": "b"},
    ]
    assert [text_block("ab")] == decode_json(completion({"content": parts})).content


def test_legacy_function_call_is_a_call():
    reply = {"content": None, "function_call": {"name": "Bash", "arguments": '{"a":1}'}}
    answer = decode_json(completion(reply, "function_call"))
    assert [tool_block({"a": 1})] == answer.content
    assert "tool_use" == answer.message["stop_reason"]


@pytest.mark.parametrize("content", [None, "", " \n", 7])
def test_message_without_content_has_no_blocks(content):
    message = decode_json(completion({"content": content})).message
    assert [] == message["content"]
    assert "end_turn" == message["stop_reason"]


@pytest.mark.parametrize("listed", [[], None, "x", [{"index": 1, "message": {"content": "x"}}]])
def test_answer_without_first_choice_is_an_error(listed):
    answer = decode_json(completion(choices=listed))
    assert (502, "api_error") == (answer.failure.status, answer.failure.kind)
    assert "[test] upstream returned no choices" == answer.failure.message


def test_only_the_first_choice_is_read():
    second = {"index": 1, "message": {"content": "no"}, "finish_reason": "length"}
    first = {"index": 0, "message": {"content": "yes"}, "finish_reason": "stop"}
    assert [text_block("yes")] == decode_json(completion(choices=[second, first])).content


def test_call_without_a_name_and_nothing_else_is_an_error():
    answer = decode_json(calls({"function": {"arguments": "{}"}}))
    assert [] == answer.frames
    assert "[test] upstream returned a tool call without a name" == answer.failure.message


def test_call_without_a_name_beside_text_is_left_out():
    reply = {"content": "x", "tool_calls": [{"function": {"arguments": "{}"}}]}
    answer = decode_json(completion(reply, "tool_calls"))
    assert [text_block("x")] == answer.content
    assert "end_turn" == answer.message["stop_reason"]


def test_missing_finish_reason_is_no_failure_in_a_whole_answer():
    assert "end_turn" == decode_json(completion({"content": "x"}, None)).message["stop_reason"]
    message = decode_json(calls(call("{}"), finish=None)).message
    assert "tool_use" == message["stop_reason"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "[test] upstream returned an empty body"),
        (b" \n ", "[test] upstream returned an empty body"),
        (b'{"choices":[{"mess', "[test] upstream sent something that is not a JSON object"),
        (b'"text"', "[test] upstream sent something that is not a JSON object"),
        (b'[{"error":{"message":"wrapped","code":400}}]', "[test] wrapped"),
        (b'{"detail":"no"}', "[test] no"),
        (b'{"id":"1","status":"IN_QUEUE"}', "[test] no worker has taken the request (IN_QUEUE)"),
        (b"[" * 5000, "[test] " + "[" * 1993),
    ],
    ids=["empty", "blank", "cut", "string", "list", "detail", "queue", "deep"],
)
def test_bodies_that_are_no_answer(body, message):
    answer = decode_json(body)
    assert [] == answer.frames
    assert message == answer.failure.message


def test_queued_request_counts_as_overload():
    failure = decode_json(b'{"status":"IN_QUEUE"}').failure
    assert (529, "overloaded_error") == (failure.status, failure.kind)


def test_body_above_the_limit_is_refused():
    answer = decode_json(b" " * (MAX_EVENT_BYTES + 1))
    assert "[test] upstream sent a body above 16 MiB" == answer.failure.message
    assert [] == answer.decoder.feed(b"{}")
    assert [] == answer.decoder.end()
    assert [] == answer.decoder.settle()
    assert not answer.decoder.is_done


def test_leading_blanks_and_bom_before_json_are_skipped():
    body = completion({"content": "x"})
    assert [text_block("x")] == decode_json(b"\xef\xbb\xbf" + body).content
    assert [text_block("x")] == decode_json(b"\n\n" + body).content


def test_usage_of_a_plain_answer_comes_with_it():
    decoder = make_exchange().decoder(head(JSON))
    decoder.feed(completion({"content": "x"}))
    assert decoder.usage is None
    assert not decoder.waits_for_usage
    decoder.end()
    assert decoder.usage is not None
    assert 3 == decoder.usage.output_tokens


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/html; charset=utf-8", "", "text/plain"]
)
def test_web_page_is_an_error(content_type):
    decoder = make_exchange().decoder(head(content_type))
    answer = feed(decoder, [b"\n <", b"!doctype html><p>secret</p>"])
    assert [] == answer.frames
    assert "[test] upstream returned HTML (status 200)" == answer.failure.message
    assert (502, "api_error") == (answer.failure.status, answer.failure.kind)
    assert decoder.usage is None
    assert () == decoder.notes
    assert [] == decoder.settle()
    assert [] == decoder.end()
    assert not decoder.waits_for_usage


@pytest.mark.parametrize("content_type", ["", "text/plain", STREAM, "application/octet-stream"])
@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("start", [b"", b"\n\n", b"\xef\xbb\xbf"], ids=["none", "blank", "bom"])
@pytest.mark.parametrize(
    "body",
    [
        completion({"content": "x"}),
        said("x") + chunk({}, "stop") + DONE,
        b": hi\n\n" + said("x") + DONE,
    ],
    ids=["json", "stream", "comment"],
)
def test_unlabelled_answer_is_read_by_its_first_byte(content_type, size, start, body):
    decoder = make_exchange().decoder(head(content_type))
    assert decoder.usage is None
    assert not decoder.is_done
    assert not decoder.waits_for_usage
    assert () == decoder.notes
    assert [] == decoder.settle()
    data = start + body
    answer = feed(decoder, [data[at : at + size] for at in range(0, len(data), size)])
    assert [text_block("x")] == answer.content
    assert decoder.usage is not None
    assert () == decoder.notes
    assert [] == decoder.settle()


@pytest.mark.parametrize("body", [b"", b"\n \n", b"\xef\xbb"])
def test_unlabelled_answer_without_a_byte_is_a_cut_stream(body):
    answer = decode(body, content_type="")
    assert "[test] upstream closed the stream before finishing" == answer.failure.message
    assert [] == answer.frames
