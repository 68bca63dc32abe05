"""What a daemon has learned is still known to the next one."""

from __future__ import annotations

import signal
from typing import Any

import aiohttp
import pytest

from tests.conftest import Launch, cerebras_backend
from tests.fakes.chat_completions import ChatCompletionsFake
from tests.real.daemon import Daemon, eventually, toml

THINKING = "First I run a command."
PROMPT = {"role": "user", "content": "go [[stub:thinking_tool]]"}
REQUEST: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 4000,
    "thinking": {"type": "adaptive", "display": "omitted"},
    "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
}


async def ask(daemon: Daemon, *messages: Any) -> list[dict[str, Any]]:
    """The blocks of an answer."""
    body = REQUEST | {"messages": [PROMPT, *messages]}
    async with aiohttp.request("POST", f"{daemon.url}/v1/messages", json=body) as answer:
        message = await answer.json()
        assert answer.status == 200, message
    blocks: list[dict[str, Any]] = message["content"]
    return blocks


async def replay(daemon: Daemon, blocks: list[dict[str, Any]]) -> None:
    """Go on after a tool call, as a client does that has stored no thinking but its signature."""
    call = next(block for block in blocks if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}
    await ask(
        daemon,
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": [result]},
    )


def replayed(fake: ChatCompletionsFake) -> str | None:
    """The reasoning of the assistant's turn in the last request upstream."""
    messages = [seen for seen in fake.requests if seen.path.endswith("completions")][-1].body
    turn = next(each for each in messages["messages"] if each["role"] == "assistant")
    reasoning: str | None = turn.get("reasoning")
    return reasoning


async def began(launch: Launch, fake: ChatCompletionsFake, **environment: str) -> Daemon:
    config = toml("cerebras", {"cerebras": cerebras_backend(fake.url)})
    return await launch(config, **environment)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_thinking_is_filled_in_after_a_restart(
    launch: Launch, chat_fake: ChatCompletionsFake, end: signal.Signals
) -> None:
    daemon = await began(launch, chat_fake)
    blocks = await ask(daemon)
    thinking = next(block for block in blocks if block["type"] == "thinking")
    assert "" == thinking["thinking"]
    if end is signal.SIGKILL:
        log = daemon.home / "state" / "llmproxyd" / "state.db-wal"
        signature = thinking["signature"].encode()
        await eventually(lambda: log.exists() and signature in log.read_bytes())
    await daemon.end(end)
    await daemon.start()
    await replay(daemon, blocks)
    assert THINKING == replayed(chat_fake)
    assert [] == daemon.events("state_unavailable")


async def test_token_factors_outlive_the_daemon(
    launch: Launch, chat_fake: ChatCompletionsFake
) -> None:
    daemon = await began(launch, chat_fake)
    body = REQUEST | {"messages": [{"role": "user", "content": "word " * 4000}]}

    async def count() -> int:
        url = f"{daemon.url}/v1/messages/count_tokens"
        async with aiohttp.request("POST", url, json=body) as answer:
            return int((await answer.json())["input_tokens"])

    before = await count()
    async with aiohttp.request("POST", f"{daemon.url}/v1/messages", json=body) as answer:
        usage = (await answer.json())["usage"]
    learned = await count()
    await daemon.end(signal.SIGTERM)
    await daemon.start()
    assert before != learned == await count(), usage


@pytest.mark.parametrize("damage", ["garbage", "foreign"])
async def test_daemon_starts_with_a_state_file_that_it_can_not_use(
    launch: Launch, chat_fake: ChatCompletionsFake, damage: str
) -> None:
    daemon = await began(launch, chat_fake)
    await daemon.end(signal.SIGTERM)
    path = daemon.home / "state" / "llmproxyd" / "state.db"
    content = bytearray(path.read_bytes())
    if damage == "garbage":
        content = bytearray(b"garbage" * 1000)
    else:
        content[60:64] = (99).to_bytes(4, "big")  # the user version
    path.write_bytes(content)
    await daemon.start()
    assert 1 == len(daemon.events("state_unavailable"))
    await replay(daemon, await ask(daemon))
    assert THINKING == replayed(chat_fake)
    assert (damage == "garbage") == path.with_name("state.db.damaged").exists()


async def test_daemon_starts_where_nothing_can_be_written(
    launch: Launch, chat_fake: ChatCompletionsFake
) -> None:
    daemon = await began(launch, chat_fake, XDG_STATE_HOME="/dev/null/state")
    assert ["/dev/null/state/llmproxyd/state.db"] == [
        event["path"] for event in daemon.events("state_unavailable")
    ]
    await replay(daemon, await ask(daemon))
    assert THINKING == replayed(chat_fake)
