"""The official OpenAI SDK at the second door, through a real daemon on both wire formats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from tests.conftest import Proxied
from tests.fakes.answers import FINAL
from tests.real.claude_cli import API_KEY

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "Bash", "parameters": {"type": "object", "properties": {}}},
}
CLASSES: dict[str, type[openai.APIStatusError]] = {
    "err400": openai.BadRequestError,
    "err401": openai.AuthenticationError,
    "err429": openai.RateLimitError,
    "err500": openai.InternalServerError,
}


def ask(prompt: str, **more: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-6",
        "tools": [TOOL],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": prompt},
        ],
        **more,
    }


@pytest.fixture
async def client(proxied: Proxied) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key=API_KEY, base_url=f"{proxied.url}/v1", max_retries=0, timeout=60
    ) as made:
        yield made


async def test_create(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(**ask("hi [[stub:text]]"))
    assert completion.choices[0].message.content == FINAL
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "claude-sonnet-4-6"
    assert completion.usage is not None
    assert completion.usage.total_tokens > 0


async def test_stream(client: openai.AsyncOpenAI) -> None:
    asked = ask("hi [[stub:text]]", stream=True, stream_options={"include_usage": True})
    text, reasons, usage = "", [], None
    async for chunk in await client.chat.completions.create(**asked):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    assert (text, reasons) == (FINAL, ["stop"])
    assert usage is not None
    assert usage.completion_tokens > 0


async def test_tool_loop(client: openai.AsyncOpenAI) -> None:
    asked = ask("hi [[stub:parallel]]")
    first = (await client.chat.completions.create(**asked)).choices[0]
    assert first.finish_reason == "tool_calls"
    calls = first.message.tool_calls or []
    assert len(calls) == 2
    results = [{"role": "tool", "tool_call_id": call.id, "content": "done"} for call in calls]
    asked["messages"] += [first.message.model_dump(exclude_none=True), *results]
    second = (await client.chat.completions.create(**asked)).choices[0]
    assert (second.finish_reason, second.message.content) == ("stop", FINAL)


@pytest.mark.parametrize("script", CLASSES)
async def test_errors_have_their_classes(client: openai.AsyncOpenAI, script: str) -> None:
    with pytest.raises(CLASSES[script]) as caught:
        await client.chat.completions.create(**ask(f"hi [[stub:{script}]]"))
    assert caught.value.message


async def test_malformed_request_has_openais_envelope(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**ask("hi", n=2))
    assert caught.value.body["message"]


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    page = await client.models.list()
    assert page.object == "list"
