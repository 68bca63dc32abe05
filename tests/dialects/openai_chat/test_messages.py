"""Messages as alternating turns: roles, system messages, merging, validation (1.2, 1.3)."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.messages import read_conversation, system_text
from llmproxyd.dialects.openai_chat.scope import Scope
from llmproxyd.errors import BadRequest
from llmproxyd.spi import Quirks
from tests.dialects.openai_chat.calls import (
    assistant,
    messages_of,
    system,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
)

HI = user("hi")


def reminder(said):
    return f"<system-reminder>\n{said}\n</system-reminder>"


def conversation(*messages, **flags):
    return read_conversation(list(messages), Scope(Quirks(**flags), {}))


def turns_of(*messages, **flags):
    return [(turn.role, turn.blocks) for turn in conversation(*messages, **flags).turns]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ""),
        ("", ""),
        ("A", "A"),
        (" \n", ""),
        ([], ""),
        ([text("A"), text("\n"), text("B")], "A\n\nB"),
        (["A", "B"], "A\n\nB"),
        (text("A"), "A"),
        ([text("x-anthropic-billing-header: a; b"), text("A")], "A"),
        ("x-anthropic-billing-header: a; b", ""),
        ("x-anthropic-billing-header: a; b\nA", "A"),
        ([{"type": "image"}, 5, None, text("A")], "A"),
    ],
)
def test_system_prompt_is_one_text(given, expected):
    assert expected == system_text(given)


@pytest.mark.parametrize("role", ["ctx", "msg", "tool", None, 5])
def test_unknown_roles_are_the_users(role):
    assert [("user", [text("a")])] == turns_of({"role": role, "content": "a"})


def test_neighbours_of_one_role_merge():
    messages = [user("a"), user(text("b")), assistant("c"), assistant(tool_use("1"))]
    expected = [("user", [text("a"), text("b")]), ("assistant", [text("c"), tool_use("1")])]
    assert expected == turns_of(*messages)


def test_blocks_that_are_null_or_blank_are_dropped_and_strings_are_text():
    blocks = [None, text(""), text(" \n"), {"type": "text"}, "a", 5]
    assert [("user", [text("a")])] == turns_of({"role": "user", "content": blocks})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("be brief", reminder("be brief")),
        ([text("be"), text(" "), text("brief")], reminder("be\n\nbrief")),
        (reminder("x"), reminder("x")),
        ([text(f"\n{reminder('x')}\n")], f"\n{reminder('x')}\n"),
        (f"{reminder('x')} more", reminder(f"{reminder('x')} more")),
    ],
)
def test_inlined_system_message_is_wrapped_once(content, expected):
    message = {"role": "system", "content": content}
    assert [("user", [text("hi"), text(expected)])] == turns_of(HI, message)


def test_string_and_block_form_of_a_system_message_read_the_same():
    block = {**text("be brief"), "cache_control": {"type": "ephemeral"}}
    in_blocks = messages_of(HI, system(block, output_config={"effort": "low"}), assistant("x"), HI)
    assert in_blocks == messages_of(HI, system("be brief"), assistant("x"), HI)


def test_tool_changes_in_a_system_message_are_dropped_and_images_are_kept():
    image = {"type": "image", "source": {}}
    blocks = [{"type": "tool_addition", "tools": []}, image]
    assert [("user", [text("hi"), image])] == turns_of(HI, system(*blocks))


@pytest.mark.parametrize("mode", ["inline", "native", "hoist"])
@pytest.mark.parametrize("others", [[], [user("")], [user(text(" "))]])
def test_conversation_of_system_messages_only_becomes_a_user_turn(mode, others):
    expected = [("user", [text(reminder("a"))])]
    assert expected == turns_of(*others, system("a"), mid_system=mode)


def test_hoisted_system_messages_join_the_system_prompt():
    messages = [HI, system("a"), assistant("b"), system(" "), HI, system("c")]
    read = conversation(*messages, mid_system="hoist")
    assert ["a", "c"] == read.hoisted
    assert ["user", "assistant", "user"] == [turn.role for turn in read.turns]
    assert "a\n\nc" == messages_of(*messages, mid_system="hoist")[0]["content"]


def test_native_system_messages_merge_and_blank_ones_are_dropped():
    messages = messages_of(HI, system("a"), system(" "), system("b"), mid_system="native")
    assert [HI, {"role": "system", "content": "a\n\nb"}] == messages


def test_native_system_message_does_not_part_a_call_from_its_result():
    messages = messages_of(
        HI,
        assistant(tool_use("a")),
        system("s"),
        user(tool_result("a", "1"), text("go")),
        mid_system="native",
    )
    assert ["user", "assistant", "tool", "user", "system"] == [m["role"] for m in messages]


def test_native_system_message_after_plain_text_stays_where_it_is():
    messages = messages_of(HI, assistant("a"), system("s"), HI, mid_system="native")
    assert ["user", "assistant", "system", "user"] == [m["role"] for m in messages]


def test_assistant_turn_with_thinking_only_is_dropped_and_its_neighbours_merge():
    messages = [user("a"), assistant(thinking("t")), user("b")]
    assert [("user", [text("a"), text("b")])] == turns_of(*messages)


def test_thinking_joins_the_assistant_message_after_it():
    messages = [HI, assistant(thinking("t")), assistant("x"), HI]
    assert [thinking("t"), text("x")] == turns_of(*messages)[1][1]


@pytest.mark.parametrize(
    ("required", "expected"),
    [(True, ["user", "assistant", "user"]), (False, ["assistant", "user"])],
)
def test_user_message_is_put_before_a_first_assistant_where_required(required, expected):
    messages = messages_of(assistant("a"), HI, first_user_required=required)
    assert expected == [message["role"] for message in messages]
    if required:
        assert "(conversation continues)" == messages[0]["content"]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("x", "messages.0: Input should be an object"),
        ({"role": "user"}, "messages.0.content: Field required"),
        ({"role": "user", "content": None}, "messages.0.content: Field required"),
        (
            {"role": "user", "content": 5},
            "messages.0.content: Input should be a string or an array",
        ),
        (
            assistant({"type": "tool_use", "name": "B"}),
            "messages.0.content.0.tool_use.id: Field required",
        ),
        (
            assistant(text("x"), {"type": "tool_use", "id": "a"}),
            "messages.0.content.1.tool_use.name: Field required",
        ),
        (
            assistant({"type": "tool_use", "id": 5, "name": "B"}),
            "messages.0.content.0.tool_use.id: Input should be a string",
        ),
        (
            user({"type": "tool_result", "content": "x"}),
            "messages.0.content.0.tool_result.tool_use_id: Field required",
        ),
    ],
)
def test_message_that_can_not_be_repaired_is_refused(message, problem):
    with pytest.raises(BadRequest) as caught:
        conversation(message)
    assert problem == caught.value.message


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([HI], None),
        ([HI, system("a", output_config={"effort": "low"})], "low"),
        ([HI, {"role": "system", "output_config": {"effort": "low"}}], "low"),
        (
            [
                system("a", output_config={"effort": "low"}),
                HI,
                system("b", output_config={"effort": "high"}),
                HI,
                system("c"),
            ],
            "high",
        ),
        ([{**HI, "output_config": {"effort": "low"}}], None),
        ([HI, system("a", output_config={})], None),
        ([HI, system("a", output_config="x")], None),
    ],
)
def test_effort_of_the_last_system_message_is_this_turns(messages, expected):
    assert expected == conversation(*messages).effort


@pytest.mark.parametrize(
    ("last", "is_prefilled"),
    [(assistant("a"), True), (assistant(text("a"), tool_use("1")), False), (HI, False)],
)
def test_prefill_is_a_last_assistant_message_without_calls(last, is_prefilled):
    assert is_prefilled is conversation(HI, last).is_prefilled
