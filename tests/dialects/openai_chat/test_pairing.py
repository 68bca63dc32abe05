"""Calls and their results, whatever the history looks like (1.3.5 to 1.3.7)."""

from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.openai_chat.pairing import NO_RESULT
from tests.dialects.openai_chat.calls import (
    assistant,
    body_of,
    encoded,
    image,
    image_part,
    messages_of,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
)

HI = user("hi")


def results_of(messages):
    return [(m["tool_call_id"], m["content"]) for m in messages if m["role"] == "tool"]


def ids_of(messages):
    return [call["id"] for m in messages for call in m.get("tool_calls", ())]


def test_conversation_may_end_with_a_call():
    messages = messages_of(HI, assistant(tool_use("a")))
    assert [("a", NO_RESULT)] == results_of(messages)
    assert "tool" == messages[-1]["role"]


def test_several_results_of_one_call_are_joined():
    messages = messages_of(
        HI, assistant(tool_use("a")), user(tool_result("a", "1"), tool_result("a", "2"))
    )
    assert [("a", "1\n2")] == results_of(messages)


def test_late_result_becomes_user_text_and_its_call_gets_a_made_up_one():
    messages = messages_of(
        HI,
        assistant(tool_use("a", "Read")),
        user("wait"),
        assistant("ok"),
        user(tool_result("a", [text("1"), image()])),
    )
    assert [("a", NO_RESULT)] == results_of(messages)
    label = "1\n[image 1 of this tool result follows in the next message]"
    assert [
        text(f"[Result of an earlier tool call a]\n{label}"),
        text("[image 1 from tool Read]"),
        image_part(),
    ] == messages[-1]["content"]


def test_image_of_a_result_without_call_is_labelled_with_its_id():
    messages = messages_of(user(tool_result("zz", [image()])))
    assert text("[image 1 from tool zz]") == messages[0]["content"][1]


def test_images_of_results_come_before_the_other_blocks_of_the_user():
    messages = messages_of(
        HI,
        assistant(tool_use("a"), tool_use("b", "Read")),
        user(text("note"), tool_result("b", [image()]), tool_result("a", [image(), image()])),
    )
    labels = [part["text"] for part in messages[-1]["content"] if part["type"] == "text"]
    assert [
        "[image 1 from tool Bash]",
        "[image 2 from tool Bash]",
        "[image 1 from tool Read]",
        "note",
    ] == labels


def test_adjacent_texts_beside_an_image_stay_apart():
    messages = messages_of(user(text("a"), text("b"), image()))
    assert [text("a"), text("b"), image_part()] == messages[0]["content"]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (["1", "2"], [("call_0", "1"), ("call_0_2", "2")]),
        (["1"], [("call_0", "1"), ("call_0_2", NO_RESULT)]),
        (["1", "2", "3"], [("call_0", "1"), ("call_0_2", "2\n3")]),
    ],
)
def test_equal_ids_in_one_message_are_paired_by_position(results, expected):
    messages = messages_of(
        HI,
        assistant(tool_use("call_0"), tool_use("call_0")),
        user(*(tool_result("call_0", said) for said in results)),
    )
    assert expected == results_of(messages)


def test_id_used_again_in_a_later_turn_gets_a_suffix():
    turn = [assistant(tool_use("call_0")), user(tool_result("call_0"))]
    messages = messages_of(HI, *turn, *turn, *turn)
    expected = ["call_0", "call_0_2", "call_0_3"]
    assert expected == ids_of(messages) == [tool_id for tool_id, _ in results_of(messages)]


def test_illegal_ids_are_replaced_in_call_and_result():
    tool_id = "functions.Bash:0"
    messages = messages_of(HI, assistant(tool_use(tool_id)), user(tool_result(tool_id, "1")))
    (upstream,) = ids_of(messages)
    assert upstream.startswith("call_")
    assert [(upstream, "1")] == results_of(messages)


@pytest.mark.parametrize(("null_content", "expected"), [(True, None), (False, "")])
def test_calls_without_text_have_null_content_or_an_empty_string(null_content, expected):
    messages = messages_of(HI, assistant(tool_use("a")), HI, assistant_null_content=null_content)
    assert expected == messages[1]["content"]


def test_assistant_texts_are_joined_by_one_newline():
    messages = messages_of(HI, assistant(text("a"), tool_use("1"), text("b")), HI)
    assert "a\nb" == messages[1]["content"]


@pytest.mark.parametrize(
    ("tool_input", "expected"),
    [
        ('{"a": 1}', '{"a":1}'),
        ("junk", '{"input":"junk"}'),
        ("[1]", '{"input":"[1]"}'),
        pytest.param("[" * 5000, '{"input":"%s"}' % ("[" * 5000), id="nested too deeply"),
        ([1], '{"input":[1]}'),
        (3, '{"input":3}'),
        (False, '{"input":false}'),
        ({"b": 1, "a": 2}, '{"b":1,"a":2}'),
        ({"n": 2**70}, '{"n":1180591620717411303424}'),
        (
            {"__unparsedToolInput": {"raw": "{", "len": 1}},
            '{"__unparsedToolInput":{"raw":"{","len":1}}',
        ),
    ],
)
def test_arguments_are_always_an_object(tool_input, expected):
    messages = messages_of(HI, assistant({**tool_use("a"), "input": tool_input}))
    assert expected == messages[1]["tool_calls"][0]["function"]["arguments"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("drop", {"content": "x"}),
        ("reasoning", {"content": "x", "reasoning": "t"}),
        ("reasoning_content", {"content": "x", "reasoning_content": "t"}),
        ("think_tags", {"content": "<think>t</think>\n\nx"}),
    ],
)
def test_reasoning_goes_where_the_backend_reads_it(mode, expected):
    messages = messages_of(
        HI,
        assistant(thinking("t"), text("x"), tool_use("a")),
        user(tool_result("a")),
        reasoning_in=mode,
    )
    del messages[1]["tool_calls"]
    assert {"role": "assistant", **expected} == messages[1]


def test_reasoning_tags_are_content_enough_for_a_call():
    messages = messages_of(
        HI,
        assistant(thinking("t"), tool_use("a")),
        HI,
        reasoning_in="think_tags",
        reasoning_in_all=True,
    )
    assert "<think>t</think>" == messages[1]["content"]


def test_repairs_are_noted():
    body = body_of(HI, assistant(tool_use("a")), user(tool_result("b")))
    assert ("tool_result_unpaired", "tool_result_missing") == encoded(body).notes


def test_server_tool_results_know_the_name_of_their_call():
    call = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    result = {"type": "mcp_tool_result", "tool_use_id": "s", "content": "found"}
    messages = messages_of(HI, assistant(call, result, text("x")), HI)
    expected = '[web_search called with {"query":"q"}]\n[web_search result]\nfound\nx'
    assert expected == messages[1]["content"]
    json.dumps(messages)
