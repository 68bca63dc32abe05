"""The life of the daemon as a process: start without configuration, drain, second instance."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import aiohttp
import pytest

from tests.conftest import Launch, anthropic_backend
from tests.fakes.anthropic_stub import AnthropicStub
from tests.real.daemon import Daemon, eventually, toml

HOLD: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 100,
    "stream": True,
    "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
    "messages": [{"role": "user", "content": "hi [[stub:hold after=5]]"}],
}


def config(stub: AnthropicStub, drain_timeout: str = "30s") -> str:
    server = f'[server]\ndrain_timeout = "{drain_timeout}"\n'
    return toml("stub", {"stub": anthropic_backend(stub.url)}, server)


async def ended(daemon: Daemon) -> int:
    assert daemon.process is not None
    async with asyncio.timeout(30):
        return await daemon.process.wait()


async def test_daemon_without_configuration_sends_everything_to_the_default_backend(launch: Launch):
    daemon = await launch("")
    assert daemon.status["active"] == "anthropic"
    async with aiohttp.request("GET", f"{daemon.url}/health") as response:
        health = await response.json()
    assert (health["status"], health["backend"]) == ("ok", "anthropic")


async def test_long_header_of_a_client_is_taken(launch: Launch):
    daemon = await launch("")
    headers = {"x-long": "a" * 60_000}
    async with aiohttp.request("GET", f"{daemon.url}/health", headers=headers) as response:
        assert response.status == 200


async def test_stream_in_flight_ends_well_after_term(launch: Launch, anthropic_stub: AnthropicStub):
    daemon = await launch(config(anthropic_stub))
    async with aiohttp.request("POST", f"{daemon.url}/v1/messages", json=HOLD) as stream:
        seen = await anthropic_stub.arrival()
        daemon.signal(signal.SIGTERM)
        await eventually(lambda: daemon.events("drain_started"))
        with pytest.raises(aiohttp.ClientConnectionError):
            await aiohttp.request("GET", f"{daemon.url}/health").__aenter__()
        seen.release.set()
        assert (await stream.text()).rstrip().endswith('data: {"type": "message_stop"}')
    assert await ended(daemon) == 0
    assert daemon.events("drain_finished")[0]["is_complete"] is True


@pytest.mark.parametrize("how", ["deadline", "second signal"])
async def test_stream_that_outlives_the_drain_ends_with_an_error_event(
    launch: Launch, anthropic_stub: AnthropicStub, how: str
):
    daemon = await launch(config(anthropic_stub, "0.2s" if how == "deadline" else "60s"))
    async with aiohttp.request("POST", f"{daemon.url}/v1/messages", json=HOLD) as stream:
        seen = await anthropic_stub.arrival()
        daemon.signal(signal.SIGTERM)
        await eventually(lambda: daemon.events("drain_started"))
        if how == "second signal":
            daemon.signal(signal.SIGTERM)
        text = await stream.text()
        seen.release.set()
    assert "event: error" in text
    assert '"type":"overloaded_error"' in text
    assert "message_stop" not in text
    assert await ended(daemon) == 0
    assert daemon.events("drain_finished")[0]["is_complete"] is False


async def test_second_daemon_on_the_same_socket_says_so(launch: Launch):
    daemon = await launch("")
    second = Daemon(daemon.home, "", {})
    word = await second._spawn(())
    assert (word["ok"], word["already_running"]) == (False, True)
    assert await ended(second) == word["exit_code"]


async def test_nothing_is_imported_after_the_start(launch: Launch, anthropic_stub: AnthropicStub):
    """An upgrade in place must not break a running daemon at a lazy import."""
    daemon = await launch(config(anthropic_stub), PYTHONVERBOSE="1")
    before = daemon.text.count("import '")
    calm: dict[str, Any] = HOLD | {"messages": [{"role": "user", "content": "hi"}]}
    for streams in (True, False):
        body = calm | {"stream": streams}
        async with aiohttp.request("POST", f"{daemon.url}/v1/messages", json=body) as answer:
            assert answer.status == 200
            await answer.read()
    await daemon.ctl("status")
    imported = [line for line in daemon.text.splitlines() if line.startswith("import '")]
    assert imported[before:] == []
