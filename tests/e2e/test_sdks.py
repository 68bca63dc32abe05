"""The official SDKs, stricter readers than the CLI, through a real daemon on both wire formats."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.conftest import Proxied
from tests.fakes.answers import FINAL
from tests.real import installed
from tests.real.claude_cli import API_KEY

SDK_SCRIPT = Path(installed.__file__).with_name("sdk.mjs")
TOOL: dict[str, Any] = {"name": "Bash", "input_schema": {"type": "object", "properties": {}}}
PARALLEL = ["echo one", "echo two"]

# script: status and type that the client sees behind each of the two wire formats
ERRORS: dict[str, tuple[int, str]] = {
    "err400": (400, "invalid_request_error"),
    "err401": (401, "authentication_error"),
    "err403": (403, "permission_error"),
    "err404": (404, "not_found_error"),
    "err413": (413, "request_too_large"),
    "err429": (429, "rate_limit_error"),
    "err500": (500, "api_error"),
    "err529": (529, "overloaded_error"),
    "toolong": (400, "invalid_request_error"),
}
CLASSES: dict[int, type[anthropic.APIStatusError]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
}


def ask(prompt: str, **more: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 1000,
        "tools": [TOOL],
        "messages": [{"role": "user", "content": prompt}],
        **more,
    }


@pytest.fixture
async def client(proxied: Proxied) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        api_key=API_KEY, base_url=proxied.url, max_retries=0, timeout=60
    ) as made:
        yield made


async def test_create(client: anthropic.AsyncAnthropic) -> None:
    message = await client.messages.create(**ask("hi [[stub:parallel]]"))
    assert "tool_use" == message.stop_reason
    assert PARALLEL == [block.input["command"] for block in message.content]
    assert "claude-sonnet-4-6" == message.model
    assert message.usage.input_tokens > 0


async def test_stream(client: anthropic.AsyncAnthropic) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    call = ask("hi [[stub:thinking_tool]]", thinking=thinking, max_tokens=2000)
    async with client.messages.stream(**call) as stream:
        kinds = [event.type async for event in stream]
        message = await stream.get_final_message()
    assert ["thinking", "text", "tool_use"] == [block.type for block in message.content]
    assert message.content[0].signature
    assert {"command": "echo hello-from-tool", "description": "Say hello"} == (
        message.content[2].input
    )
    assert "tool_use" == message.stop_reason
    assert 25 == message.usage.output_tokens
    assert "message_start" == kinds[0]
    assert "message_stop" == kinds[-1]


async def test_a_conversation_with_tool_results(
    client: anthropic.AsyncAnthropic, proxied: Proxied
) -> None:
    call = ask("hi [[stub:parallel]]")
    first = await client.messages.create(**call)
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": block.input["command"]}
        for block in reversed(first.content)
    ]
    call["messages"] += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    second = await client.messages.create(**call)
    assert FINAL == second.content[0].text
    assert 2 == len(proxied.fake.of("main"))


async def test_count_tokens(client: anthropic.AsyncAnthropic) -> None:
    call = ask("hello " * 1000)
    del call["max_tokens"]
    counted = await client.messages.count_tokens(**call)
    assert 500 < counted.input_tokens < 4000


async def test_models_list(client: anthropic.AsyncAnthropic, proxied: Proxied) -> None:
    page = await client.models.list(limit=1000)
    # The CLI shows only models whose ids hold `claude`, so others get such an alias.
    expected = "claude-local-gpt-oss-120b" if proxied.name == "cerebras" else "claude-opus-4-8"
    assert expected in [model.id for model in page.data]
    assert all(model.type == "model" and model.display_name for model in page.data)


@pytest.mark.parametrize("script", ERRORS)
async def test_every_error_is_typed(
    client: anthropic.AsyncAnthropic, script: str, proxied: Proxied
) -> None:
    status, kind = ERRORS[script]
    with pytest.raises(CLASSES.get(status, anthropic.APIStatusError)) as raised:
        await client.messages.create(**ask(f"hi [[stub:{script}]]"))
    assert status == raised.value.status_code
    assert kind == raised.value.body["error"]["type"]
    assert raised.value.request_id == raised.value.body["request_id"]


@pytest.mark.parametrize("script", ["err429", "toolong"])
async def test_an_error_before_a_stream_is_an_http_error(
    client: anthropic.AsyncAnthropic, script: str
) -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        async with client.messages.stream(**ask(f"hi [[stub:{script}]]")):
            pass
    assert ERRORS[script][0] == raised.value.status_code


async def test_an_overflow_says_what_the_cli_understands(
    client: anthropic.AsyncAnthropic,
) -> None:
    with pytest.raises(anthropic.BadRequestError) as raised:
        await client.messages.create(**ask("hi [[stub:toolong tokens=300000 max=131072]]"))
    message = raised.value.body["error"]["message"]
    found = re.match(r"prompt is too long: (\d+) tokens > 131072 maximum", message)
    assert found, message
    assert int(found[1]) > 131072  # some servers count the output budget too


async def test_a_rate_limit_says_when(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.RateLimitError) as raised:
        await client.messages.create(**ask("hi [[stub:err429 retry_after=17]]"))
    assert "17" == raised.value.response.headers["retry-after"]


async def test_an_error_inside_a_stream_is_raised(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        async with client.messages.stream(**ask("hi [[stub:errevent after=4]]")) as stream:
            _ = [event async for event in stream]
    assert "overloaded_error" == raised.value.body["error"]["type"]


@pytest.mark.real
@pytest.mark.timeout(300)
async def test_the_typescript_sdk(proxied: Proxied) -> None:
    folder = installed.require("npm-sdk").parent
    node = shutil.which("node")
    assert node, "node is not installed"
    prompts = [f"hi [[stub:{script}]]" for script in ERRORS]
    process = await asyncio.create_subprocess_exec(
        *(node, str(SDK_SCRIPT), str(folder), proxied.url, API_KEY, *prompts),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert 0 == process.returncode, err.decode()
    found = json.loads(out)
    assert PARALLEL == [block["input"]["command"] for block in found["created"]["content"]]
    assert "message_start" == found["events"][0]
    assert "message_stop" == found["events"][-1]
    assert "tool_use" == found["streamed"]["stop_reason"]
    assert found["counted"]["input_tokens"] > 0
    assert all(model["type"] == "model" for model in found["models"])
    errors = [found["errors"][prompt] for prompt in prompts]
    assert list(ERRORS.values()) == [(error["status"], error["type"]) for error in errors]
    assert all(error["requestId"] == error["bodyRequestId"] for error in errors)
