"""Effort, budgets, and what becomes of earlier thinking (section 1.9)."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.messages import read_conversation
from llmproxyd.dialects.openai_chat.scope import Scope
from llmproxyd.dialects.openai_chat.thinking import (
    first_reasoning_turn,
    read_thinking,
    thinking_fields,
    turn_reasoning,
)
from llmproxyd.spi import Quirks
from llmproxyd.wire.signature import sign
from tests.dialects.openai_chat.calls import (
    assistant,
    body_of,
    messages_of,
    sent,
    system,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
)

HI = user("hi")
ADAPTIVE = {"type": "adaptive"}
DISABLED = {"type": "disabled"}


def enabled(budget):
    return {"type": "enabled", "budget_tokens": budget}


@pytest.mark.parametrize(
    ("config", "effort", "level", "budget"),
    [
        (None, None, None, None),
        (None, "low", "low", None),
        (DISABLED, None, "off", None),
        (DISABLED, "max", "off", None),
        (ADAPTIVE, None, None, None),
        (ADAPTIVE, "xhigh", "xhigh", None),
        ({"type": "between_tools"}, "medium", "medium", None),
        ({"type": "enabled"}, None, None, None),
        ({"type": "enabled"}, "high", "high", None),
        (enabled(1024), None, "low", 1024),
        (enabled(4096), None, "low", 4096),
        (enabled(4097), None, "medium", 4097),
        (enabled(16384), None, "medium", 16384),
        (enabled(16385), None, "high", 16385),
        (enabled(31999), "low", "low", None),
        (enabled(5000), "extreme", "medium", 5000),
        (enabled("9"), None, None, None),
        (enabled(True), None, None, None),
        (ADAPTIVE, "extreme", None, None),
        (ADAPTIVE, 5, None, None),
        ("adaptive", None, None, None),
    ],
)
def test_level_comes_from_the_effort_or_the_budget(config, effort, level, budget):
    body = {"thinking": config, "output_config": {"effort": effort}}
    read = read_thinking(body)
    assert (level, budget) == (read.level, read.budget)


def test_effort_of_a_system_message_beats_that_of_the_request():
    body = {"output_config": {"effort": "low"}}
    assert "high" == read_thinking(body, "high").level
    assert "low" == read_thinking(body, "unheard of").level


def test_output_config_of_a_wrong_type_says_nothing():
    assert read_thinking({"output_config": "high"}).level is None


HIGH, MAX, OFF, BUDGET = (
    {"thinking": ADAPTIVE, "output_config": {"effort": "high"}},
    {"thinking": ADAPTIVE, "output_config": {"effort": "max"}},
    {"thinking": DISABLED},
    {"thinking": enabled(9000)},
)
TEMPLATE_ON = {"chat_template_kwargs": {"enable_thinking": True}}
TEMPLATE_OFF = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.mark.parametrize(
    ("control", "fields", "expected"),
    [
        ("effort", OFF, {"reasoning_effort": "none"}),
        ("effort", HIGH, {"reasoning_effort": "high"}),
        ("effort", MAX, {"reasoning_effort": "high"}),
        ("effort", BUDGET, {"reasoning_effort": "medium"}),
        ("effort_always_on", OFF, {"reasoning_effort": "low"}),
        ("effort_always_on", MAX, {"reasoning_effort": "high"}),
        ("effort_or_omit", OFF, {}),
        ("effort_or_omit", HIGH, {"reasoning_effort": "high"}),
        ("none_only", OFF, {"reasoning_effort": "none"}),
        ("none_only", HIGH, {}),
        ("chat_template", OFF, TEMPLATE_OFF),
        ("chat_template", MAX, TEMPLATE_ON),
        ("chat_template", BUDGET, TEMPLATE_ON),
        ("chat_template_budget", OFF, TEMPLATE_OFF),
        ("chat_template_budget", HIGH, TEMPLATE_ON),
        ("chat_template_budget", BUDGET, {**TEMPLATE_ON, "thinking_budget_tokens": 9000}),
        ("openrouter", OFF, {"reasoning": {"enabled": False}}),
        ("openrouter", HIGH, {"reasoning": {"effort": "high"}}),
        ("openrouter", MAX, {"reasoning": {"effort": "high"}}),
        ("openrouter", BUDGET, {"reasoning": {"max_tokens": 9000}}),
        ("thinking_type", OFF, {"thinking": {"type": "disabled"}}),
        ("thinking_type", HIGH, {"thinking": {"type": "enabled"}}),
    ],
)
def test_r21_r22_every_backend_is_told_in_its_own_words(control, fields, expected):
    quirks = Quirks(reasoning=True, reasoning_control=control)
    assert expected == thinking_fields(read_thinking(fields), quirks)


def test_highest_efforts_go_as_they_are_where_they_are_known():
    quirks = Quirks(reasoning=True, effort_xhigh=True)
    assert {"reasoning_effort": "max"} == thinking_fields(read_thinking(MAX), quirks)


@pytest.mark.parametrize("fields", [{}, {"thinking": ADAPTIVE}])
def test_nothing_is_sent_when_the_client_leaves_it_to_the_backend(fields):
    assert {} == thinking_fields(read_thinking(fields), Quirks(reasoning=True))


def test_r21_model_that_does_not_reason_is_told_nothing():
    assert {} == thinking_fields(read_thinking(OFF), Quirks())


def test_effort_of_the_turn_reaches_the_request():
    body = body_of(
        HI, system("s", output_config={"effort": "low"}), output_config={"effort": "max"}
    )
    assert "low" == sent(body, flags={"reasoning": True})["reasoning_effort"]


def turns_of(*messages):
    return read_conversation(list(messages), Scope(Quirks(), {})).turns


LOOP = [
    user("old"),
    assistant(thinking("t0"), tool_use("z")),
    user(tool_result("z")),
    assistant("done"),
    user("new"),
    assistant(thinking("t1"), tool_use("a")),
    user(tool_result("a"), text("<system-reminder>\nr\n</system-reminder>")),
]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"reasoning_in": "drop"}, 7),
        ({"reasoning_in": "drop", "reasoning_in_all": True}, 7),
        ({"reasoning_in": "reasoning"}, 4),
        ({"reasoning_in": "reasoning", "reasoning_in_all": True}, 0),
    ],
)
def test_r23_reasoning_is_kept_from_the_last_words_of_the_user_on(flags, expected):
    assert expected == first_reasoning_turn(turns_of(*LOOP), Quirks(**flags))


def test_conversation_without_user_text_is_one_running_loop():
    turns = turns_of(assistant(tool_use("a")), user(tool_result("a")))
    assert 0 == first_reasoning_turn(turns, Quirks(reasoning_in="reasoning"))


def test_r23_only_the_running_loop_carries_reasoning():
    messages = messages_of(*LOOP, reasoning_in="reasoning")
    assert ["t1"] == [m["reasoning"] for m in messages if "reasoning" in m]
    messages = messages_of(*LOOP, reasoning_in="reasoning", reasoning_in_all=True)
    assert ["t0", "t1"] == [m["reasoning"] for m in messages if "reasoning" in m]


class Store(dict):
    def put(self, key, said):
        self[key] = said


def reasoning(*blocks, store=None):
    return turn_reasoning(turns_of(HI, assistant(*blocks, tool_use("a"), tool_use("b")))[1], store)


@pytest.mark.parametrize(
    ("blocks", "kept", "expected"),
    [
        ([thinking("1"), thinking(""), thinking("2")], {}, "1\n2"),
        ([thinking("", sign("t"))], {sign("t"): "t"}, "t"),
        ([thinking("", sign("t"))], {}, ""),
        ([thinking("", "foreign")], {"foreign": "t"}, ""),
        ([thinking("said", sign("t"))], {sign("t"): "t"}, "said"),
        ([{"type": "thinking"}], {}, ""),
        ([], {"b": "t"}, "t"),
        ([], {"a": "first", "b": "t"}, "first"),
        ([], {}, ""),
        ([thinking("")], {"a": "t"}, ""),
    ],
)
def test_text_that_the_client_was_not_given_comes_from_the_store(blocks, kept, expected):
    assert expected == reasoning(*blocks, store=Store(kept))


@pytest.mark.parametrize("blocks", [[], [thinking("", sign("t"))]])
def test_without_a_store_lost_text_stays_lost(blocks):
    assert "" == reasoning(*blocks)
