"""A configuration is taken over whole or not at all, under whatever is running."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.conftest import Launch, anthropic_backend, cerebras_backend
from tests.fakes.anthropic_stub import AnthropicStub
from tests.fakes.chat_completions import ChatCompletionsFake
from tests.real.daemon import Daemon, eventually, toml

BROKEN = {
    "not-toml": 'backend = "cerebras\n',
    "unknown-key": 'bakend = "cerebras"\n',
    "wrong-type": "backend = 7\n",
    "no-such-backend": 'backend = "nowhere"\n',
    "bad-url": '[backends.x]\ntype = "anthropic"\nurl = "not a url"\n',
}


def call(prompt: str, *, streams: bool = False) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 100,
        "stream": streams,
        "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": prompt}],
    }


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def asked(session: aiohttp.ClientSession, daemon: Daemon, prompt: str) -> int:
    async with session.post(f"{daemon.url}/v1/messages", json=call(prompt)) as answer:
        await answer.read()
        return answer.status


async def test_a_stream_ends_where_it_began_while_the_next_request_goes_to_the_new_backend(
    launch: Launch,
    session: aiohttp.ClientSession,
    anthropic_stub: AnthropicStub,
    chat_fake: ChatCompletionsFake,
) -> None:
    old = toml("old", {"old": anthropic_backend(anthropic_stub.url)})
    new = toml("new", {"new": cerebras_backend(chat_fake.url)})
    daemon = await launch(old)
    prompt = "hi [[stub:hold after=5]]"
    stream = await session.post(f"{daemon.url}/v1/messages", json=call(prompt, streams=True))
    assert 200 == stream.status
    seen = await anthropic_stub.arrival()

    await daemon.hang_up(new)
    assert 1 == len(daemon.events("config_reloaded"))
    assert 200 == await asked(session, daemon, "hi")
    assert 1 == len(chat_fake.of("main"))

    seen.release.set()
    async with asyncio.timeout(30):
        text = (await stream.read()).decode()
    assert "event: message_stop" in text
    assert 1 == len(anthropic_stub.of("main"))


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_configuration_disturbs_nothing(
    launch: Launch, session: aiohttp.ClientSession, anthropic_stub: AnthropicStub, name: str
) -> None:
    daemon = await launch(toml("a", {"a": anthropic_backend(anthropic_stub.url)}))
    await daemon.hang_up(BROKEN[name])
    assert [] == daemon.events("config_reloaded")
    rejected = json.dumps(daemon.events("config_rejected"))
    assert "config.toml" in rejected
    assert 200 == await asked(session, daemon, "hi")
    code, out, err = await daemon.ctl("reload")
    assert 0 != code
    assert "config.toml" in out + err
    assert daemon.is_alive


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_configuration_never_starts_a_daemon(name: str) -> None:
    code, said = await Daemon.refused(BROKEN[name])
    assert 6 == code
    assert "config.toml" in said


async def test_a_port_in_use_names_its_holder(
    launch: Launch, anthropic_stub: AnthropicStub
) -> None:
    config = toml("a", {"a": anthropic_backend(anthropic_stub.url)})
    first = await launch(config)
    assert first.process is not None
    code, said = await Daemon.refused(config, "--port", str(first.port))
    assert 1 == code
    assert f"pid {first.process.pid}" in said
    assert str(first.port) in said
    assert first.is_alive


async def test_a_second_daemon_on_one_socket_is_refused(
    launch: Launch, anthropic_stub: AnthropicStub
) -> None:
    config = toml("a", {"a": anthropic_backend(anthropic_stub.url)})
    first = await launch(config)
    code, said = await Daemon.refused(config, "--socket", str(first.socket))
    assert 1 == code
    assert "running" in said
    assert first.is_alive


async def test_use_switches_for_the_next_request(
    both: Daemon,
    session: aiohttp.ClientSession,
    anthropic_stub: AnthropicStub,
    chat_fake: ChatCompletionsFake,
) -> None:
    assert 200 == await asked(session, both, "hi")
    await both.use("cerebras")
    assert 200 == await asked(session, both, "hi")
    await both.use("anthropic")
    assert 200 == await asked(session, both, "hi")
    assert (2, 1) == (len(anthropic_stub.of("main")), len(chat_fake.of("main")))
    code, out, err = await both.ctl("use", "nowhere")
    assert 0 != code
    assert "nowhere" in out + err


async def test_a_stop_lets_a_running_stream_end(
    launch: Launch, session: aiohttp.ClientSession, anthropic_stub: AnthropicStub
) -> None:
    daemon = await launch(toml("a", {"a": anthropic_backend(anthropic_stub.url)}))
    prompt = "hi [[stub:hold after=5]]"
    stream = await session.post(f"{daemon.url}/v1/messages", json=call(prompt, streams=True))
    seen = await anthropic_stub.arrival()
    daemon.signal(signal.SIGTERM)
    await eventually(lambda: daemon.events("drain_started"))
    seen.release.set()
    async with asyncio.timeout(30):
        text = (await stream.read()).decode()
    assert "message_stop" in text
    assert daemon.process is not None
    async with asyncio.timeout(30):
        await daemon.process.wait()


async def test_streams_over_reloads_are_whole(
    launch: Launch, session: aiohttp.ClientSession, anthropic_stub: AnthropicStub
) -> None:
    configs = [
        toml("a", {"a": anthropic_backend(anthropic_stub.url)}),
        toml("b", {"b": anthropic_backend(anthropic_stub.url)}),
    ]
    daemon = await launch(configs[0])

    async def streamed(number: int) -> str:
        prompt = f"hi [[stub:longstream n=20 gap=0.05 id={number}]]"
        body = call(prompt, streams=True)
        async with session.post(f"{daemon.url}/v1/messages", json=body) as answer:
            return (await answer.read()).decode()

    async with AsyncExitStack(), asyncio.TaskGroup() as group:
        tasks = [group.create_task(streamed(number)) for number in range(10)]
        for turn in range(5):
            await daemon.hang_up(configs[(turn + 1) % 2])
    whole = "".join(f"tick{number} " for number in range(20))
    for task in tasks:
        deltas = [
            json.loads(line.removeprefix("data: "))["delta"]["text"]
            for line in task.result().splitlines()
            if line.startswith("data: ") and "text_delta" in line
        ]
        assert whole == "".join(deltas)


async def test_a_search_that_only_its_provider_can_run_takes_a_detour(
    launch: Launch,
    session: aiohttp.ClientSession,
    anthropic_stub: AnthropicStub,
    chat_fake: ChatCompletionsFake,
) -> None:
    backends = {
        "mine": cerebras_backend(chat_fake.url),
        "theirs": anthropic_backend(anthropic_stub.url),
    }
    daemon = await launch(toml("mine", backends, 'server_tools = "theirs"'))
    search = call("find it") | {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    async with session.post(f"{daemon.url}/v1/messages", json=search) as answer:
        assert 200 == answer.status
    assert 1 == len(anthropic_stub.of("server_tool"))
    assert 200 == await asked(session, daemon, "hi")
    assert 1 == len(chat_fake.of("main"))
