"""Servers that users already run: plain JSON for streams, models in OpenAI's shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import anthropic
import pytest

from tests.conftest import Launch
from tests.fakes.answers import FINAL
from tests.fakes.old_python_proxy import OldPythonProxy
from tests.real.claude_cli import API_KEY, ClaudeCLI
from tests.real.daemon import Daemon, toml


@pytest.fixture
async def old_proxy() -> AsyncIterator[OldPythonProxy]:
    async with OldPythonProxy() as server:
        yield server


@pytest.fixture
async def daemon(old_proxy: OldPythonProxy, launch: Launch) -> Daemon:
    entry = {"type": "self-hosted", "url": old_proxy.url, "model": "qwen3-coder"}
    return await launch(toml("old", {"old": entry}))


async def test_a_stream_request_gets_a_full_event_sequence_from_one_upstream_request(
    old_proxy: OldPythonProxy, daemon: Daemon
) -> None:
    call = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 100,
        "stream": True,
        "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": "hi [[stub:text t=from_the_old_one]]"}],
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{daemon.url}/v1/messages?beta=true", json=call) as answer,
    ):
        assert 200 == answer.status
        assert "text/event-stream" == answer.content_type
        lines = (await answer.text()).splitlines()
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert ["message_start", "content_block_start"] == names[:2]
    assert ["content_block_stop", "message_delta", "message_stop"] == names[-3:]
    assert 1 == len(old_proxy.of("main"))


async def test_the_sdk_reads_its_streams_and_messages(daemon: Daemon) -> None:
    async with anthropic.AsyncAnthropic(api_key=API_KEY, base_url=daemon.url) as client:
        async with client.messages.stream(
            model="claude-sonnet-4-6",
            max_tokens=100,
            messages=[{"role": "user", "content": "hi"}],
        ) as stream:
            streamed = await stream.get_final_message()
        created = await client.messages.create(
            model="claude-sonnet-4-6",
            max_tokens=100,
            messages=[{"role": "user", "content": "hi"}],
        )
        models = await client.models.list()
    assert "stub-ok" == streamed.content[0].text == created.content[0].text
    assert all(model.type == "model" for model in models.data)


@pytest.mark.real
@pytest.mark.timeout(300)
async def test_the_cli_runs_a_tool_loop_on_it(
    old_proxy: OldPythonProxy,
    daemon: Daemon,
    claude_at: Callable[[str], ClaudeCLI],
    tmp_path: Path,
) -> None:
    cli = claude_at(daemon.url)
    repository = cli.repository(tmp_path / "repository")
    run = await cli.ask("go [[stub:tool_loop]]", cwd=repository)
    assert FINAL == run.ok().result["result"]
    assert (repository / "stub-written.txt").exists()
    assert 3 == len(old_proxy.of("main"))
