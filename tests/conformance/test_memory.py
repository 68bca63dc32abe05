"""What is kept between requests: refused properties, thoughts, how far estimates are off."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.vocabulary import (
    DONE,
    TOOLS,
    assistant,
    delta,
    fails,
    finish,
    request,
    says,
    sse,
    tool_delta,
    tool_result,
    tool_use,
    usage,
    user,
)


def refusal_of(name: str) -> dict[str, Any]:
    return {
        "message": f"property '{name}' is unsupported",
        "type": "invalid_request_error",
        "param": "validation_error",
        "code": "wrong_api_format",
    }


OPENAI_REFUSAL = {
    "error": {
        "message": "Unsupported parameter: 'temperature' is not supported with this model.",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "unsupported_parameter",
    }
}


@pytest.mark.parametrize(
    "body", [refusal_of("temperature"), OPENAI_REFUSAL], ids=["flat", "openai"]
)
async def test_refused_property_is_left_out_from_then_on(serve: Serve, body: Any) -> None:
    rig = await serve(fails(400, body), says(), quirks={"learn": True})
    for _ in range(2):
        assert 200 == (await rig.ask(request(temperature=0.5))).status
    sent = ["temperature" in received.body for received in rig.upstream.requests]
    assert [True, False, False] == sent


@pytest.mark.parametrize("name", ["messages", "tools", "max_completion_tokens"])
async def test_what_a_request_is_made_of_is_never_left_out(serve: Serve, name: str) -> None:
    rig = await serve(fails(400, refusal_of(name)), kind="cerebras")
    got = await rig.ask(request(tools=TOOLS))
    assert (400, "invalid_request_error") == got.error[:2]
    assert 1 == len(rig.upstream.requests)


async def test_nothing_is_learned_unless_it_is_switched_on(serve: Serve) -> None:
    rig = await serve(fails(400, OPENAI_REFUSAL))
    assert 400 == (await rig.ask(request(temperature=0.5))).status
    assert 1 == len(rig.upstream.requests)


THINKS = sse(
    delta(reasoning="deep"),
    tool_delta(0, "a", "Bash", "{}"),
    finish("tool_calls"),
    usage(),
    DONE,
)
REMEMBERS = {"reasoning": True, "reasoning_in": "reasoning"}
WISHES: dict[str, dict[str, Any]] = {
    "shown": {"thinking": {"type": "adaptive"}},
    "omitted": {"thinking": {"type": "adaptive", "display": "omitted"}},
    "not-asked-for": {},
}


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_thoughts_of_the_running_loop_go_back_up(
    serve: Serve, wish: dict[str, Any], *, streams: bool
) -> None:
    rig = await serve(THINKS, quirks=REMEMBERS)
    first = await rig.ask(request(tools=TOOLS, stream=streams, **wish))
    replayed = {"role": "assistant", "content": first.content}
    call_id = first.content[-1]["id"]
    turn = [user("hi"), replayed, user(tool_result(call_id, "1"))]
    await rig.ask(request(*turn, tools=TOOLS, **wish), history_ids={call_id})
    assert "deep" == rig.upstream.requests[-1].body["messages"][1]["reasoning"]


async def test_empty_thought_of_somebody_else_is_skipped(serve: Serve) -> None:
    rig = await serve(quirks=REMEMBERS)
    foreign = {"type": "thinking", "thinking": "", "signature": "EqQBCkYI"}
    await rig.ask(
        request(user("hi"), assistant(foreign, tool_use("a")), user(tool_result("a", "1")))
    )
    assert "reasoning" not in rig.upstream.messages[1]


async def test_estimates_follow_what_the_backend_counts(serve: Serve) -> None:
    body = request(user("word " * 2000))
    count = "/v1/messages/count_tokens"
    rig = await serve()
    before = (await rig.ask(body, count)).json["input_tokens"]
    rig.upstream.script(says("x", prompt=2 * before))
    for _ in range(20):
        await rig.ask(body)
    after = (await rig.ask(body, count)).json["input_tokens"]
    assert 1.8 * before < after <= 2 * before + 1


async def test_estimated_or_tiny_counts_teach_nothing(serve: Serve) -> None:
    body = request(user("word " * 2000))
    count = "/v1/messages/count_tokens"
    rig = await serve(says("x", prompt=400), sse(delta(content="x"), finish("stop"), DONE))
    before = (await rig.ask(body, count)).json
    for _ in range(5):
        await rig.ask(body)
    assert before == (await rig.ask(body, count)).json
