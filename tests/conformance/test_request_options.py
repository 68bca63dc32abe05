"""R20 to R25, R27, R28 and section 1.1: sampling, thinking, budgets, formats, and what is left out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.vocabulary import (
    MODEL,
    assistant,
    delta,
    finish,
    request,
    sse,
    system,
    text,
    thinking,
    tool,
    tool_result,
    tool_use,
    usage,
    user,
)

ABSENT = object()
GENERIC = "openai-compatible"
ADAPTIVE: dict[str, Any] = {"thinking": {"type": "adaptive"}}
OFF: dict[str, Any] = {"thinking": {"type": "disabled"}}
BUDGET: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 10000}}


def effort(level: str) -> dict[str, Any]:
    return ADAPTIVE | {"output_config": {"effort": level}}


# Kind, model and request to the fields about reasoning that go up: nothing else of the kind may.
THINKING: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "R21-max": ("cerebras", "gpt-oss-120b", effort("max"), {"reasoning_effort": "high"}),
    "R21-disabled": ("cerebras", "gpt-oss-120b", OFF, {"reasoning_effort": "low"}),
    "R21-can-not-reason": ("cerebras", "llama3.1-8b", effort("max"), {}),
    "R21-not-known-to-reason": (GENERIC, "m", effort("max"), {}),
    "R22-vllm-qwen": (
        "vllm",
        "Qwen/Qwen3-32B",
        BUDGET,
        {"chat_template_kwargs": {"enable_thinking": True}},
    ),
    "1.9-cerebras-adaptive": ("cerebras", "gpt-oss-120b", ADAPTIVE, {}),
    "1.9-cerebras-budget": (
        "cerebras",
        "gpt-oss-120b",
        BUDGET,
        {"reasoning_effort": "medium"},
    ),
    "1.9-effort-beats-budget": (
        "cerebras",
        "gpt-oss-120b",
        BUDGET | {"output_config": {"effort": "low"}},
        {"reasoning_effort": "low"},
    ),
    "1.9-off-beats-effort": (
        "cerebras",
        "gpt-oss-120b",
        OFF | {"output_config": {"effort": "high"}},
        {"reasoning_effort": "low"},
    ),
    "1.9-effort-alone": (
        "cerebras",
        "gpt-oss-120b",
        {"output_config": {"effort": "medium"}},
        {"reasoning_effort": "medium"},
    ),
    "1.9-unknown-effort": ("cerebras", "gpt-oss-120b", effort("heroic"), {}),
    "1.9-cerebras-glm-off": ("cerebras", "zai-glm-4.7", OFF, {"reasoning_effort": "none"}),
    "1.9-cerebras-glm-high": ("cerebras", "zai-glm-4.7", effort("high"), {}),
    "1.9-vllm-qwen-off": (
        "vllm",
        "Qwen/Qwen3-32B",
        OFF,
        {"chat_template_kwargs": {"enable_thinking": False}},
    ),
    "1.9-vllm-gpt-oss-off": ("vllm", "openai/gpt-oss-20b", OFF, {"reasoning_effort": "low"}),
    "1.9-ollama-off": ("ollama", "qwen3", OFF, {"reasoning_effort": "none"}),
    "1.9-ollama-max": ("ollama", "qwen3", effort("max"), {"reasoning_effort": "high"}),
    "1.9-llamacpp-off": (
        "llamacpp",
        "qwen3",
        OFF,
        {"chat_template_kwargs": {"enable_thinking": False}},
    ),
    "1.9-llamacpp-budget": (
        "llamacpp",
        "qwen3",
        BUDGET,
        {"chat_template_kwargs": {"enable_thinking": True}, "thinking_budget_tokens": 10000},
    ),
    "1.9-litellm-off": ("litellm", "x", OFF, {}),
    "1.9-litellm-max": ("litellm", "x", effort("max"), {"reasoning_effort": "high"}),
    "1.9-openai-medium": (GENERIC, "gpt-5", effort("medium"), {"reasoning_effort": "medium"}),
    "1.9-openrouter-off": ("openrouter", "x/y", OFF, {"reasoning": {"enabled": False}}),
    "1.9-openrouter-high": ("openrouter", "x/y", effort("high"), {"reasoning": {"effort": "high"}}),
    "1.9-openrouter-budget": (
        "openrouter",
        "x/y",
        BUDGET,
        {"reasoning": {"max_tokens": 10000}},
    ),
}
# Kinds that have models of all sorts, so that the configuration must say what one can do.
MAY_REASON = {"ollama", "llamacpp", "litellm", "openrouter"}
REASONING_WORDS = (b"reasoning", b"think", b"effort")


@pytest.mark.parametrize(("kind", "model", "fields", "expected"), THINKING.values(), ids=THINKING)
async def test_thinking(
    serve: Serve, kind: str, model: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    able = {"reasoning": True} if kind in MAY_REASON else {}
    rig = await serve(kind=kind, model=model, quirks=able)
    answer = await rig.ask(request(**fields))
    assert 200 == answer.status, answer.raw
    body = rig.upstream.body
    about_reasoning = {
        key: value
        for key, value in body.items()
        if any(word in json.dumps({key: value}).encode() for word in REASONING_WORDS)
    }
    assert expected == about_reasoning


LOOP = [user("hi"), assistant(thinking("t1"), tool_use("a")), user(tool_result("a", "1"))]
NEXT = [assistant("x"), user("new question")]
REMINDED = [*LOOP, system("be brief")]
HISTORIES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]] = {
    "R23-running-loop": ({"reasoning_in": "reasoning"}, LOOP, [{"reasoning": "t1"}]),
    "R23-new-question": ({"reasoning_in": "reasoning"}, [*LOOP, *NEXT], [{}, {}]),
    "R23-reminder-is-no-question": (
        {"reasoning_in": "reasoning"},
        REMINDED,
        [{"reasoning": "t1"}],
    ),
    "R23-other-field": (
        {"reasoning_in": "reasoning_content"},
        LOOP,
        [{"reasoning_content": "t1"}],
    ),
    "R23-drop": ({}, LOOP, [{}]),
    "R23-all-turns": (
        {"reasoning_in": "reasoning_content", "reasoning_in_all": True},
        [*LOOP, *NEXT],
        [{"reasoning_content": "t1"}, {}],
    ),
}


@pytest.mark.parametrize(("quirks", "messages", "expected"), HISTORIES.values(), ids=HISTORIES)
async def test_thinking_of_the_history(
    serve: Serve,
    quirks: dict[str, Any],
    messages: list[dict[str, Any]],
    expected: list[dict[str, Any]],
) -> None:
    rig = await serve(quirks={"reasoning": True, **quirks})
    await rig.ask(request(*messages))
    sent = [message for message in rig.upstream.messages if message["role"] == "assistant"]
    known = {"role", "content", "tool_calls"}
    assert expected == [{k: v for k, v in one.items() if k not in known} for one in sent]


async def test_thinking_goes_back_as_tags_r23(serve: Serve) -> None:
    rig = await serve(quirks={"reasoning": True, "reasoning_in": "think_tags"})
    await rig.ask(request(*LOOP))
    assert rig.upstream.messages[1]["content"].startswith("<think>t1</think>")


# Kind, entry and max_tokens to the budget that goes up; exactly one field of the two names.
BUDGETS: dict[str, tuple[str, dict[str, Any], int, dict[str, Any]]] = {
    "R24-cerebras-cap": ("cerebras", {}, 32000, {"max_completion_tokens": 16384}),
    "R24-below-the-cap": ("cerebras", {}, 500, {"max_completion_tokens": 500}),
    "R24-generic": (GENERIC, {}, 32000, {"max_tokens": 32000}),
    "R24-own-cap": (GENERIC, {"max_output": 4096}, 32000, {"max_tokens": 4096}),
    "R24-never-tiny": (GENERIC, {"context_window": 1100}, 32000, {"max_tokens": 1024}),
    "R24-never-raised": (GENERIC, {"context_window": 300}, 100, {"max_tokens": 100}),
}


@pytest.mark.parametrize(("kind", "entry", "asked", "expected"), BUDGETS.values(), ids=BUDGETS)
async def test_output_budget(
    serve: Serve, kind: str, entry: dict[str, Any], asked: int, expected: dict[str, Any]
) -> None:
    rig = await serve(kind=kind, **entry)
    await rig.ask(request(max_tokens=asked))
    sent = {key: value for key, value in rig.upstream.body.items() if key.startswith("max_")}
    assert expected == sent


async def test_output_budget_fits_the_window(serve: Serve) -> None:
    rig = await serve(context_window=10_000)
    await rig.ask(request(user("word " * 2000), max_tokens=32000))
    assert 1024 < rig.upstream.body["max_tokens"] < 10_000 - 256


UNKNOWN: dict[str, Any] = {
    "context_management": {"edits": []},
    "service_tier": "auto",
    "betas": ["b"],
    "foo": 1,
    "container": "c",
    "metadata": {"user_id": '{"device_id":"d","account_uuid":"a","session_id":"s"}'},
}
ALWAYS = {"model", "messages", "max_tokens", "stream", "stream_options"}


async def test_fields_that_mean_nothing_upstream_stay_here_r25(serve: Serve) -> None:
    rig = await serve()
    answer = await rig.ask(request(**UNKNOWN))
    assert 200 == answer.status
    assert ALWAYS == set(rig.upstream.body)
    assert (True, {"include_usage": True}) == (
        rig.upstream.body["stream"],
        rig.upstream.body["stream_options"],
    )


async def test_user_goes_up_hashed_if_at_all_r25(serve: Serve) -> None:
    rig = await serve(quirks={"user_field": "user"})
    await rig.ask(request(**UNKNOWN))
    assert 32 == len(rig.upstream.body["user"])
    assert "account" not in rig.upstream.body["user"]


SAMPLING: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "as-it-is": ({}, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
    "clamped": ({"temperature_max": 0.7}, {"temperature": 1}, {"temperature": 0.7}),
    "default": ({"default_temperature": 0.3}, {}, {"temperature": 0.3}),
    "top-k-unknown": ({}, {"top_k": 5}, {}),
    "top-k": ({"top_k": True}, {"top_k": 5}, {"top_k": 5}),
    "fixed-by-the-model": ({"no_sampling": True, "top_k": True}, {"temperature": 0.5}, {}),
}


@pytest.mark.parametrize(("quirks", "fields", "expected"), SAMPLING.values(), ids=SAMPLING)
async def test_sampling(
    serve: Serve, quirks: dict[str, Any], fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    rig = await serve(quirks=quirks)
    await rig.ask(request(**fields))
    sent = {key: value for key, value in rig.upstream.body.items() if key not in ALWAYS}
    assert expected == sent


STOPS = ["</a>", "</b>", "</c>", "</d>", "</fifth>"]


@pytest.mark.parametrize("given", [[*STOPS, "\n"], ["\n", "", STOPS[0], *STOPS]])
@pytest.mark.parametrize("pieces", [["ab</fifth>cd"], ["ab</fi", "fth>cd"], ["a", "b<", "/fifth>"]])
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_fifth_stop_sequence_is_found_here_r20(
    serve: Serve, given: list[str], pieces: list[str], *, streams: bool
) -> None:
    rig = await serve(sse(*[delta(content=piece) for piece in pieces], end="hold"))
    got = await rig.ask(request(stop_sequences=given, stream=streams))
    assert STOPS[:4] == rig.upstream.body["stop"]
    assert [text("ab")] == got.content
    ending = (got.message["stop_reason"], got.message["stop_sequence"])
    assert ("stop_sequence", STOPS[4]) == ending
    await asyncio.wait_for(rig.upstream.request.left.wait(), 1)


async def test_held_back_text_is_not_lost_r20(serve: Serve) -> None:
    rig = await serve(sse(delta(content="ab</fif"), finish("stop"), usage()))
    got = await rig.ask(request(stop_sequences=STOPS, stream=True))
    assert [text("ab</fif")] == got.content
    assert "end_turn" == got.message["stop_reason"]


async def test_stop_sequence_that_only_the_proxy_looks_for_r20(serve: Serve) -> None:
    rig = await serve(sse(delta(content="x</a>y"), end="hold"), quirks={"stop_mode": "proxy"})
    got = await rig.ask(request(stop_sequences=STOPS[:1], stream=True))
    assert "stop" not in rig.upstream.body
    assert [text("x")] == got.content


FORMAT = {
    "type": "json_schema",
    "schema": {"type": "object", "properties": {"title": {"type": "string"}}},
}
SENT_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "output", "schema": FORMAT["schema"], "strict": True},
}
FORMATS: dict[str, tuple[str, dict[str, Any], bool, Any]] = {
    "R27-cerebras-with-tools": ("cerebras", {}, True, ABSENT),
    "R27-cerebras-alone": ("cerebras", {}, False, SENT_FORMAT),
    "R27-generic-with-tools": (GENERIC, {}, True, SENT_FORMAT),
    "R27-object-only": (
        GENERIC,
        {"response_format": "json_object"},
        False,
        {"type": "json_object"},
    ),
    "R27-none": (GENERIC, {"response_format": "none"}, False, ABSENT),
}


@pytest.mark.parametrize(("kind", "quirks", "has_tools", "expected"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("field", ["output_config", "output_format"])
async def test_output_format(
    serve: Serve, kind: str, quirks: dict[str, Any], field: str, expected: Any, *, has_tools: bool
) -> None:
    rig = await serve(kind=kind, quirks=quirks)
    tools = {"tools": [tool("T")]} if has_tools else {}
    given: dict[str, Any] = {"output_format": FORMAT}
    if field == "output_config":
        given = {"output_config": {"format": FORMAT}}
    await rig.ask(request(**tools, **given, system="A"))
    assert expected == rig.upstream.body.get("response_format", ABSENT)
    prompt = rig.upstream.messages[0]["content"]
    is_in_prompt = all(word in prompt for word in ('"title"', '"string"'))
    assert (expected is not SENT_FORMAT) == is_in_prompt


def raw_value(raw: bytes, key: str) -> str:
    """The text of `key` at the top of a compact JSON object."""
    start = raw.decode().index(f'"{key}":') + len(key) + 3
    words = raw.decode()[start:]
    _, end = json.JSONDecoder().raw_decode(words)
    return words[:end]


@pytest.mark.parametrize("kind", [GENERIC, "cerebras", "vllm", "ollama", "llamacpp"])
async def test_same_history_gives_the_same_bytes_r28(serve: Serve, kind: str) -> None:
    rig = await serve(kind=kind)
    turn = [assistant("ok", tool_use("a", {"z": 1, "b": 2})), user(tool_result("a", "1"), "go on")]
    fixed: dict[str, Any] = {
        "system": [text("x-anthropic-billing-header: cch=1"), text("You are X")],
        "tools": [tool("Write"), tool("Bash"), tool("mcp.dotted")],
    }
    first = request(user("hi"), system("be brief"), *turn, **fixed)
    longer = request(*first["messages"], assistant("done"), user("next"), **fixed)
    for body in (first, first, longer):
        await rig.ask(body)
    one, same, more = [received.raw for received in rig.upstream.requests]
    assert one == same
    assert raw_value(one, "tools") == raw_value(more, "tools")
    assert raw_value(more, "messages").startswith(raw_value(one, "messages").removesuffix("]"))


async def test_requested_model_is_mapped_without_its_suffix(serve: Serve) -> None:
    rig = await serve(models={"opus": "big", "claude-*-sonnet-*": "mid", MODEL: "exact"})
    for name in (MODEL, "claude-opus-5-5[1m]", "claude-9-sonnet-1", "other"):
        got = await rig.ask(request() | {"model": name})
        assert name == got.message["model"]
    sent = [received.body["model"] for received in rig.upstream.requests]
    assert ["exact", "big", "mid", "other"] == sent
