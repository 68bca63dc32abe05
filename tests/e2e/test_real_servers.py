"""Real model servers behind a real daemon: llama.cpp, and the LiteLLM proxy in front of it.

The models are small: `bigram` and `think` say one fixed reply at any length of prompt, SmolLM2 calls
a tool when its template makes it. So the tests assert on structure, and on those fixed replies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.conftest import Launch
from tests.real import installed
from tests.real.claude_cli import API_KEY, ClaudeCLI
from tests.real.daemon import Daemon, toml
from tests.real.servers import LITELLM_KEY, litellm, llama

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

REPLY = "hello from llama.cpp!"
USER: dict[str, Any] = {"role": "user", "content": "hi"}


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the servers' logs."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def bigram(servers: Path) -> Iterator[str]:
    """llama.cpp with the scripted model; a full prompt of the CLI fits."""
    model = installed.require("bigram")
    with llama(model, "bigram", "tools.jinja", servers, window=65536, slots=2) as url:
        yield url


@pytest.fixture(scope="session")
def think(servers: Path) -> Iterator[str]:
    """llama.cpp with the scripted model that thinks first."""
    with llama(installed.require("think"), "think", "think.jinja", servers, window=32768) as url:
        yield url


@pytest.fixture(scope="session")
def smollm2(servers: Path) -> Iterator[str]:
    """llama.cpp with a real chat model of 135 million parameters and 8,192 tokens."""
    with llama(installed.require("smollm2"), "smollm2", "tools.jinja", servers, window=8192) as url:
        yield url


@pytest.fixture(scope="session")
def litellm_proxy(servers: Path, bigram: str, think: str) -> Iterator[str]:
    """LiteLLM in front of llama.cpp."""
    installed.require("litellm")
    models = {"local-fast": ("bigram", f"{bigram}/v1"), "local-think": ("think", f"{think}/v1")}
    with litellm({**models, "broken": ("x", "http://127.0.0.1:9/v1")}, servers) as url:
        yield url


def llamacpp(url: str, model: str, **more: Any) -> str:
    """A configuration with llama.cpp as its only backend."""
    return toml("llama", {"llama": {"type": "llamacpp", "url": url, "model": model, **more}})


def behind_litellm(url: str, model: str, **more: Any) -> str:
    """A configuration with LiteLLM as its only backend."""
    entry = {"type": "litellm", "url": url, "api_key": LITELLM_KEY, "model": model, **more}
    return toml("litellm", {"litellm": entry})


def client_of(daemon: Daemon) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        api_key=API_KEY, base_url=daemon.url, max_retries=0, timeout=300
    )


async def streamed(daemon: Daemon, **call: Any) -> tuple[list[str], anthropic.types.Message]:
    """Event types and the final message of a streamed call by the official SDK."""
    body = {"model": "claude-sonnet-4-6", "max_tokens": 200, "messages": [USER], **call}
    async with client_of(daemon) as client, client.messages.stream(**body) as stream:
        kinds = [event.type async for event in stream]
        return kinds, await stream.get_final_message()


async def test_the_sdk_gets_a_streamed_answer_from_llamacpp(launch: Launch, bigram: str) -> None:
    daemon = await launch(llamacpp(bigram, "bigram"))
    kinds, message = await streamed(daemon)
    assert message.content[0].text.endswith(REPLY)
    assert "end_turn" == message.stop_reason
    assert kinds.count("content_block_delta") > 5
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 5


async def test_the_cli_gets_an_answer_from_llamacpp(
    launch: Launch, bigram: str, claude_at: Callable[[str], ClaudeCLI], tmp_path: Path
) -> None:
    daemon = await launch(llamacpp(bigram, "bigram"))
    cli = claude_at(daemon.url)
    run = await cli.ask("say hi", cwd=cli.repository(tmp_path / "repository"))
    assert run.ok().result["result"].endswith(REPLY)
    assert run.result["usage"]["input_tokens"] > 5000


@pytest.mark.parametrize("protocol", ["auto", "anthropic", "openai"])
async def test_a_self_hosted_server_is_found_out(
    launch: Launch, bigram: str, protocol: str
) -> None:
    entry = {"type": "self-hosted", "url": bigram, "model": "bigram", "protocol": protocol}
    daemon = await launch(toml("mine", {"mine": entry}))
    _, message = await streamed(daemon)
    assert message.content[0].text.endswith(REPLY)


async def test_reasoning_becomes_thinking_blocks(launch: Launch, think: str) -> None:
    daemon = await launch(llamacpp(think, "think", quirks={"reasoning": True}))
    thinking = {"type": "enabled", "budget_tokens": 1024}
    _, message = await streamed(daemon, thinking=thinking, max_tokens=2000)
    assert ["thinking", "text"] == [block.type for block in message.content]
    assert "Let me see what they want." == message.content[0].thinking
    assert "The answer is forty two!" == message.content[1].text


async def test_a_real_model_calls_a_tool(launch: Launch, smollm2: str) -> None:
    daemon = await launch(llamacpp(smollm2, "smollm2"))
    tool = {
        "name": "weather",
        "description": "The weather in a city",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
    message = {"role": "user", "content": "FORCE_TOOL the weather in Paris"}
    _, first = await streamed(daemon, tools=[tool], messages=[message])
    calls = [block for block in first.content if block.type == "tool_use"]
    assert ["weather"] == [call.name for call in calls]
    assert {"city"} == set(calls[0].input)
    assert "tool_use" == first.stop_reason
    result = {"type": "tool_result", "tool_use_id": calls[0].id, "content": "sunny"}
    history = [
        message,
        {"role": "assistant", "content": [block.model_dump() for block in calls]},
        {"role": "user", "content": [result]},
    ]
    _, second = await streamed(daemon, tools=[tool], messages=history, max_tokens=20)
    assert ["text"] == [block.type for block in second.content]


async def test_a_real_overflow_is_told_as_the_cli_understands(launch: Launch, smollm2: str) -> None:
    daemon = await launch(llamacpp(smollm2, "smollm2"))
    long = {"role": "user", "content": "many words " * 10_000}
    with pytest.raises(anthropic.BadRequestError) as raised:
        await streamed(daemon, messages=[long])
    message = raised.value.body["error"]["message"]
    assert message.startswith("prompt is too long: ")
    assert "> 8192 maximum" in message


async def test_the_sdk_gets_a_streamed_answer_through_litellm(
    launch: Launch, litellm_proxy: str
) -> None:
    daemon = await launch(behind_litellm(litellm_proxy, "local-fast"))
    kinds, message = await streamed(daemon)
    assert message.content[0].text.endswith(REPLY)
    assert kinds.count("content_block_delta") > 5


async def test_the_cli_gets_an_answer_through_litellm(
    launch: Launch, litellm_proxy: str, claude_at: Callable[[str], ClaudeCLI], tmp_path: Path
) -> None:
    daemon = await launch(behind_litellm(litellm_proxy, "local-fast"))
    cli = claude_at(daemon.url)
    run = await cli.ask("say hi", cwd=cli.repository(tmp_path / "repository"))
    assert run.ok().result["result"].endswith(REPLY)


async def test_reasoning_comes_through_litellm(launch: Launch, litellm_proxy: str) -> None:
    daemon = await launch(behind_litellm(litellm_proxy, "local-think", quirks={"reasoning": True}))
    thinking = {"type": "enabled", "budget_tokens": 1024}
    _, message = await streamed(daemon, thinking=thinking, max_tokens=2000)
    assert ["thinking", "text"] == [block.type for block in message.content]


@pytest.mark.parametrize(
    ("model", "kind"),
    [("broken", anthropic.InternalServerError), ("no-such-model", anthropic.APIStatusError)],
)
async def test_litellms_errors_are_typed(
    launch: Launch, litellm_proxy: str, model: str, kind: type[anthropic.APIStatusError]
) -> None:
    daemon = await launch(behind_litellm(litellm_proxy, model))
    with pytest.raises(kind) as raised:
        await streamed(daemon)
    assert raised.value.body["error"]["message"]
    assert LITELLM_KEY not in str(raised.value.body)
