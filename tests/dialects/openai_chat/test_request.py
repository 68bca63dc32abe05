"""The request side as a whole: cases R01 to R28 of the translation spec, and top-level fields."""

from __future__ import annotations

import json
import re

import pytest

from llmproxyd.dialects.openai_chat.request import NO_PREFILL, encode_body, local_answer_kind
from llmproxyd.dialects.openai_chat.sampling import LEAST_OUTPUT
from llmproxyd.errors import BadRequest
from llmproxyd.spi import Limits
from llmproxyd.wire.tokens import estimate_prompt_tokens
from tests.dialects.openai_chat.calls import (
    CEREBRAS,
    GPT_OSS,
    MODEL,
    assistant,
    body_of,
    call_of,
    encoded,
    function,
    image,
    image_part,
    messages_of,
    sent,
    system,
    text,
    thinking,
    tool,
    tool_result,
    tool_use,
    user,
)

HI = user("hi")
NO_RESULT = "(no result was recorded for this tool call)"
SCHEMA = {"type": "object", "properties": {"t": {"type": "string"}}, "additionalProperties": False}
FORMAT = {"format": {"type": "json_schema", "schema": SCHEMA}}


def tool_message(tool_id, content):
    return {"role": "tool", "tool_call_id": tool_id, "content": content}


def chat_user(content):
    return {"role": "user", "content": content}


def test_r01_system_blocks_are_joined_and_no_cache_control_is_left():
    blocks = [text("A"), text(" "), {**text("B"), "cache_control": {"type": "ephemeral"}}]
    request = sent(body_of(HI, system=blocks))
    assert {"role": "system", "content": "A\n\nB"} == request["messages"][0]
    assert "cache_control" not in json.dumps(request)


def test_r02_billing_line_is_left_out_of_the_system_prompt():
    blocks = [text("x-anthropic-billing-header: cc_version=1; cch=abc"), text("You are X")]
    assert "You are X" == sent(body_of(HI, system=blocks))["messages"][0]["content"]


def test_r03_system_message_becomes_a_reminder_in_the_user_message():
    expected = "hi\n\n<system-reminder>\nbe brief\n</system-reminder>"
    assert [chat_user(expected)] == messages_of(HI, system("be brief"))


def test_r03_system_message_stays_in_place_where_the_backend_takes_it():
    expected = [HI, {"role": "system", "content": "be brief"}]
    assert expected == messages_of(HI, system("be brief"), mid_system="native")


def test_r04_results_come_in_call_order_and_before_user_text():
    messages = messages_of(
        HI,
        assistant(text("ok"), tool_use("a"), tool_use("b")),
        user(text("note"), tool_result("b", "2"), tool_result("a", "1")),
    )
    assert "ok" == messages[1]["content"]
    assert ["a", "b"] == [call["id"] for call in messages[1]["tool_calls"]]
    assert [tool_message("a", "1"), tool_message("b", "2"), chat_user("note")] == messages[2:]


def test_r05_missing_result_is_made_up():
    messages = messages_of(HI, assistant(tool_use("a"), tool_use("b")), user(tool_result("a", "1")))
    assert [tool_message("a", "1"), tool_message("b", NO_RESULT)] == messages[2:]


def test_r06_result_without_its_call_becomes_user_text():
    expected = [chat_user("[Result of an earlier tool call zz]\nx")]
    assert expected == messages_of(user(tool_result("zz", "x")))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"content": "boom", "is_error": True}, "Error: boom"),
        ({"content": "<tool_use_error>x", "is_error": True}, "<tool_use_error>x"),
        ({"content": "  ERROR 5", "is_error": True}, "  ERROR 5"),
        ({"content": "boom", "is_error": False}, "boom"),
        ({"content": "", "is_error": True}, "Error: (no output)"),
    ],
)
def test_r07_failed_results_say_so_once(result, expected):
    messages = messages_of(HI, assistant(tool_use("a")), user(tool_result("a", **result)))
    assert tool_message("a", expected) == messages[2]


def test_r08_image_of_a_result_follows_all_tool_messages():
    messages = messages_of(
        HI,
        assistant(tool_use("a", "Read"), tool_use("b", "Read")),
        user(tool_result("a", [text("t"), image()]), tool_result("b", "2")),
    )
    assert [
        tool_message("a", "t\n[image 1 of this tool result follows in the next message]"),
        tool_message("b", "2"),
        chat_user([text("[image 1 from tool Read]"), image_part()]),
    ] == messages[2:]


@pytest.mark.parametrize("content", [None, "", [], "  \n", [text("")], [text(" ")], 5])
def test_r09_result_without_content_says_so(content):
    messages = messages_of(HI, assistant(tool_use("a")), user(tool_result("a", content)))
    assert tool_message("a", "(no output)") == messages[2]


def test_r09_result_without_the_content_field_says_so():
    result = tool_result("a")
    del result["content"]
    messages = messages_of(HI, assistant(tool_use("a")), user(result))
    assert tool_message("a", "(no output)") == messages[2]


def test_r10_assistant_message_without_anything_to_say_is_dropped():
    redacted = {"type": "redacted_thinking", "data": "x"}
    assert [chat_user("a\n\nb")] == messages_of(user("a"), assistant(redacted), user("b"))


def test_r11_empty_text_is_dropped():
    assert [chat_user("x")] == messages_of(user(text("")), user("x"))


def test_r11_nothing_but_empty_text_is_refused():
    with pytest.raises(BadRequest, match=r"^messages: at least one message is required$"):
        encoded(body_of(user("")))


def test_r12_prefill_is_refused_by_default():
    with pytest.raises(BadRequest, match=f"^{re.escape(NO_PREFILL)}$"):
        encoded(body_of(HI, assistant("Sure, ")))


@pytest.mark.parametrize(
    ("mode", "extra"),
    [
        ("vllm", {"continue_final_message": True, "add_generation_prompt": False}),
        ("pass", {}),
    ],
)
def test_r12_prefill_goes_on_where_the_backend_can(mode, extra):
    flags = {"prefill": mode, "reasoning": True, "reasoning_control": "chat_template"}
    body = body_of(HI, assistant("Sure, "), thinking={"type": "adaptive"})
    request = sent(body, flags=flags)
    assert {"role": "assistant", "content": "Sure,"} == request["messages"][-1]
    assert extra == {key: request[key] for key in extra}
    assert {"enable_thinking": False} == request["chat_template_kwargs"]


def test_r13_arguments_are_the_inputs_json_unescaped():
    given = {"é": "\u2028", "n": 1}
    messages = messages_of(HI, assistant(tool_use("a", "Bash", given)))
    arguments = messages[1]["tool_calls"][0]["function"]["arguments"]
    assert given == json.loads(arguments)
    assert "é" in arguments


@pytest.mark.parametrize("tool_input", [None, {}])
def test_r13_no_input_is_an_empty_object(tool_input):
    call = {**tool_use("a"), "input": tool_input}
    messages = messages_of(HI, assistant(call))
    assert "{}" == messages[1]["tool_calls"][0]["function"]["arguments"]


def test_r14_schema_is_completed_and_cleaned():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"$schema": {"type": "string"}},
        "required": None,
    }
    request = sent(body_of(HI, tools=[tool("T", input_schema=schema)]))
    expected = {"type": "object", "properties": {"$schema": {"type": "string"}}}
    assert expected == request["tools"][0]["function"]["parameters"]


def test_r15_nothing_but_name_description_and_parameters_is_sent():
    given = tool("T", type="custom", defer_loading=True, cache_control={}, input_examples=[{}])
    assert [function("T")] == sent(body_of(HI, tools=[given]))["tools"]


def test_r16_long_names_are_shortened_the_same_everywhere():
    long = "n" * 80
    body = body_of(
        HI,
        assistant(tool_use("a", long)),
        user(tool_result("a")),
        tools=[tool(long)],
        tool_choice={"type": "tool", "name": long},
    )
    result = encoded(body)
    request = json.loads(result.body)
    name = request["tools"][0]["function"]["name"]
    assert re.fullmatch(r"n{55}_[0-9a-f]{8}", name)
    assert name == request["tool_choice"]["function"]["name"]
    assert name == request["messages"][1]["tool_calls"][0]["function"]["name"]
    assert {name: long} == result.names


def test_r17_server_tools_are_dropped_beside_others():
    tools = [{"type": "web_search_20250305", "name": "web_search"}, tool("T")]
    assert [function("T")] == sent(body_of(HI, tools=tools))["tools"]


def test_r17_server_tool_alone_is_refused_by_name():
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    message = "^Server tool 'web_search_20250305' is not available on this backend$"
    with pytest.raises(BadRequest, match=message):
        encoded(body_of(HI, tools=tools))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "T"}, {"type": "function", "function": {"name": "T"}}),
        ({"type": "none"}, "none"),
    ],
)
def test_r18_tool_choice_is_translated(choice, expected):
    request = sent(body_of(HI, tools=[tool("T")], tool_choice=choice))
    assert expected == request["tool_choice"]


def test_r18_tool_choice_without_tools_is_left_out():
    request = sent(body_of(HI, tools=[], tool_choice={"type": "any"}))
    assert not {"tools", "tool_choice"} & request.keys()


def test_r18_tool_choice_of_an_unknown_tool_is_refused():
    with pytest.raises(BadRequest, match="tool_choice: tool 'X' is not in tools"):
        encoded(body_of(HI, tools=[tool("T")], tool_choice={"type": "tool", "name": "X"}))


@pytest.mark.parametrize(
    ("flag", "expected"), [(False, {}), (True, {"parallel_tool_calls": False})]
)
def test_r19_parallel_calls_are_switched_off_where_the_backend_knows_how(flag, expected):
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    body = body_of(HI, tools=[tool()], tool_choice=choice)
    request = sent(body, flags={"parallel_flag": flag})
    assert expected == {k: v for k, v in request.items() if k == "parallel_tool_calls"}


def test_r20_stop_sequences_beyond_the_limit_are_left_to_the_proxy():
    result = encoded(body_of(HI, stop_sequences=["1", "2", "\n", "3", "4", "5", "1"]))
    assert ["1", "2", "3", "4"] == json.loads(result.body)["stop"]
    assert ("5",) == result.proxy_stops
    assert ("1", "2", "3", "4", "5") == result.stop_sequences


@pytest.mark.parametrize(
    ("flags", "fields", "expected"),
    [
        (GPT_OSS, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "high"),
        (GPT_OSS, {"thinking": {"type": "disabled"}}, "low"),
        (CEREBRAS, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, None),
    ],
)
def test_r21_effort_on_cerebras(flags, fields, expected):
    request = sent(body_of(HI, **fields), flags=flags)
    assert expected == request.get("reasoning_effort")
    assert not {"reasoning", "thinking", "chat_template_kwargs"} & request.keys()


def test_r22_budget_switches_thinking_on_in_the_chat_template():
    flags = {"reasoning": True, "reasoning_control": "chat_template"}
    body = body_of(HI, thinking={"type": "enabled", "budget_tokens": 10000})
    request = sent(body, flags=flags)
    assert {"enable_thinking": True} == request["chat_template_kwargs"]
    assert "thinking" not in request


def test_r23_reasoning_of_the_running_tool_loop_goes_back():
    loop = [HI, assistant(thinking("t1"), tool_use("a")), user(tool_result("a"))]
    assert "t1" == messages_of(*loop, reasoning_in="reasoning")[1]["reasoning"]
    after = messages_of(*loop, assistant("x"), user("new question"), reasoning_in="reasoning")
    assert not any("reasoning" in message for message in after)


def test_r24_output_budget_is_capped_in_the_providers_own_field():
    request = sent(body_of(HI), flags=CEREBRAS, limits=Limits(max_output=16384))
    assert 16384 == request["max_completion_tokens"]
    assert "max_tokens" not in request


def test_r25_fields_of_anthropic_are_dropped_and_noted():
    extra = {"context_management": {}, "service_tier": "auto", "betas": ["b"], "foo": 1}
    result = encoded(body_of(HI, **extra, safeguards=[{"type": "dangerous_tool_use"}]))
    assert not {*extra, "safeguards"} & json.loads(result.body).keys()
    assert (*(f"dropped:{name}" for name in extra), "dropped:safeguards") == result.notes


def test_r26_image_for_a_model_without_vision_becomes_words():
    expected = chat_user("[image omitted: this model does not take images]")
    assert [expected] == messages_of(user(image()), vision=False)


def test_r27_structured_output_beside_tools_goes_into_the_system_prompt_on_cerebras():
    request = sent(body_of(HI, tools=[tool()], output_config=FORMAT, system="S"), flags=CEREBRAS)
    assert "response_format" not in request
    prompt = request["messages"][0]["content"]
    assert prompt.startswith("S\n\n")
    assert json.dumps(SCHEMA, separators=(",", ":")) in prompt


def test_r28_translation_repeats_itself_byte_for_byte_and_keeps_its_prefix():
    turns = [HI, assistant(text("ok"), tool_use("a")), user(tool_result("a"))]
    fields = {"tools": [tool("B"), tool("A")], "system": "S"}
    first = encoded(body_of(*turns, **fields)).body
    assert first == encoded(body_of(*turns, **fields)).body
    longer = json.loads(encoded(body_of(*turns, assistant("x"), user("y"), **fields)).body)
    shorter = json.loads(first)
    assert shorter["tools"] == longer["tools"]
    assert shorter["messages"] == longer["messages"][: len(shorter["messages"])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": "hi"}, "messages: Input should be a valid array"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"mcp_servers": [{}]}, "mcp_servers is not supported by this backend"),
    ],
)
def test_what_can_not_be_repaired_is_refused(change, message):
    with pytest.raises(BadRequest) as caught:
        encoded({**body_of(HI), **change})
    assert message == caught.value.message
    assert 400 == caught.value.status


def test_empty_mcp_servers_are_no_reason_to_refuse():
    assert "mcp_servers" not in sent(body_of(HI, mcp_servers=[]))


@pytest.mark.parametrize("raw", [b'{"model":"m","max_tokens":1,"messages":[', b'{"model":"m"} x'])
def test_broken_json_is_refused(raw):
    call = call_of(body_of(HI))
    with pytest.raises(BadRequest):
        call_of(raw)
    with pytest.raises(BadRequest):
        encode_body(call, {"model": "m"})


def test_deep_nesting_is_refused():
    deep = 400 * '{"items":' + "{}" + 400 * "}"
    raw = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],'
        b'"tools":[{"name":"T","input_schema":' + deep.encode() + b"}]}"
    )
    with pytest.raises(BadRequest, match="nested too deeply"):
        encoded(raw)


def test_nul_is_removed_and_lone_surrogates_are_replaced():
    raw = (
        rb'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":'
        rb'[{"type":"text","text":"a\u0000b\ud800"}]}],"temperature":1,"x\u0000":null}'
    )
    assert [chat_user("ab\ufffd")] == sent(raw)["messages"]


def test_escaped_backslash_before_u0000_is_no_nul():
    assert [chat_user("\\u0000")] == messages_of(user("\\u0000"))


def test_upstream_model_and_stream_are_set_whatever_the_client_wants():
    request = sent(body_of(HI, stream=False))
    assert MODEL == request["model"]
    assert request["stream"] is True
    assert {"include_usage": True} == request["stream_options"]


def test_stream_options_can_be_left_out():
    assert "stream_options" not in sent(body_of(HI), flags={"no_stream_options": True})


def test_litellm_cache_control_comes_from_the_configuration():
    cache = {"no-cache": True, "no-store": True}
    assert cache == sent(body_of(HI), flags={"litellm_cache": cache})["cache"]


def test_estimates_and_budget_are_told_to_the_response_side():
    body = body_of(HI)
    result = encoded(body, token_scale=1.5, limits=Limits(context_window=2000))
    raw_tokens = estimate_prompt_tokens(body)
    assert raw_tokens == result.raw_prompt_tokens
    assert -(-raw_tokens * 3 // 2) == result.prompt_tokens
    assert 2000 - result.prompt_tokens - 256 == result.max_tokens
    assert result.max_tokens == json.loads(result.body)["max_tokens"]


def test_budget_is_never_squeezed_below_a_useful_size():
    assert LEAST_OUTPUT == sent(body_of(HI), limits=Limits(context_window=600))["max_tokens"]


def test_names_and_ids_of_the_history_are_told_to_the_response_side():
    body = body_of(
        HI, assistant(tool_use("a", "Old"), tool_use("b", "B")), user("x"), tools=[tool("B")]
    )
    result = encoded(body)
    assert ("B", "Old") == result.tool_names
    assert frozenset({"a", "b"}) == result.history_ids


@pytest.mark.parametrize(
    ("config", "wants", "omits"),
    [
        (None, False, False),
        ({"type": "disabled"}, False, False),
        ({"type": "adaptive"}, True, False),
        ({"type": "adaptive", "display": "omitted"}, True, True),
    ],
)
def test_wish_for_thinking_is_told_to_the_response_side(config, wants, omits):
    result = encoded(body_of(HI, thinking=config))
    assert (wants, omits) == (result.wants_thinking, result.omits_thinking)


def test_e09_prompt_that_would_be_cut_off_is_refused_locally():
    body = body_of(user("word " * 16000))
    message = (
        r"^prompt is too long: \d+ tokens > 4096 maximum \(capability_rejected: prompt_too_long\)$"
    )
    with pytest.raises(BadRequest, match=message):
        encoded(body, flags={"preflight": True}, limits=Limits(context_window=4096))


PROBE = {"model": "m", "max_tokens": 1, "messages": [user("Hi")]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "probe"),
        ({"messages": [user(text("Hi"))], "system": [text("s")]}, "probe"),
        ({"tools": []}, "probe"),
        ({"stream": True}, None),
        ({"tools": [tool()]}, None),
        ({"max_tokens": 2}, None),
        ({"messages": [user("Hi there")]}, None),
        ({"messages": [user("Hi"), assistant("x"), user("Hi")]}, None),
        ({"messages": [user(text("Hi"), text("x"))]}, None),
        ({"messages": [assistant("Hi")]}, None),
        ({"max_tokens": 0}, "prewarm"),
        ({"max_tokens": 0, "stream": True, "tools": [tool()]}, "prewarm"),
    ],
)
def test_model_probe_and_prewarm_are_answered_locally(change, expected):
    body = {**PROBE, **change}
    assert expected == local_answer_kind(call_of(body), body)
