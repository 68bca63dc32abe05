"""Fixtures of the whole suite: fake upstreams, the daemon as a process, the real clients.

A test that takes `proxied` runs twice: against the fake Anthropic API, and against the fake Chat
Completions API, each behind a real daemon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.fakes.anthropic_stub import AnthropicStub
from tests.fakes.chat_completions import ChatCompletionsFake
from tests.fakes.server import FakeServer
from tests.real import installed
from tests.real.claude_cli import ClaudeCLI
from tests.real.daemon import BACKEND_KEY, Daemon, toml

MODEL = "gpt-oss-120b"
VISION_MODEL = "gemma-4-31b"


def anthropic_backend(url: str) -> dict[str, Any]:
    """A backend of type `anthropic` that passes the client's credential on."""
    return {"type": "anthropic", "url": url}


def cerebras_backend(url: str) -> dict[str, Any]:
    """A backend of type `cerebras`; models whose name holds `vision` go to one that sees."""
    return {
        "type": "cerebras",
        "url": f"{url}/v1",
        "api_key": BACKEND_KEY,
        "model": MODEL,
        "models": {"*vision*": VISION_MODEL},
    }


class Launch(Protocol):
    """Starts a daemon that is stopped, and looked at, when the test ends."""

    async def __call__(self, config: str, *arguments: str, **environment: str) -> Daemon: ...


@dataclass(frozen=True)
class Proxied:
    """A daemon with one backend.

    Attributes:
        name: of the backend and of what it speaks: `anthropic` or `cerebras`.
        tolerates: clear to let the test end although the fake had something to refuse.
    """

    name: str
    fake: FakeServer
    daemon: Daemon

    @property
    def url(self) -> str:
        """Where clients go."""
        return self.daemon.url


@pytest.fixture
async def anthropic_stub() -> AsyncIterator[AnthropicStub]:
    """A fake Anthropic API."""
    async with AnthropicStub() as stub:
        yield stub


@pytest.fixture
async def chat_fake() -> AsyncIterator[ChatCompletionsFake]:
    """A fake Chat Completions API; the test fails if it had a reason to refuse any request."""
    async with ChatCompletionsFake(key=BACKEND_KEY) as fake:
        yield fake
    assert fake.problems == []


@pytest.fixture
async def launch() -> AsyncIterator[Launch]:
    """Starts daemons; at the end each must stop well and have kept the keys to itself."""
    async with AsyncExitStack() as running:

        async def start(config: str, *arguments: str, **environment: str) -> Daemon:
            daemon = await Daemon.launch(config, *arguments, environment=environment)
            running.push_async_callback(daemon.stop)
            return daemon

        yield start


@pytest.fixture(params=["anthropic", "cerebras"])
async def proxied(request: pytest.FixtureRequest, launch: Launch) -> AsyncIterator[Proxied]:
    """A daemon in front of one fake, for each of the two wire formats."""
    name: str = request.param
    make_fake: dict[str, Callable[[], FakeServer]] = {
        "anthropic": AnthropicStub,
        "cerebras": lambda: ChatCompletionsFake(key=BACKEND_KEY),
    }
    make_entry = {"anthropic": anthropic_backend, "cerebras": cerebras_backend}
    async with make_fake[name]() as fake:
        daemon = await launch(toml(name, {name: make_entry[name](fake.url)}))
        yield Proxied(name, fake, daemon)
        assert fake.problems == []


@pytest.fixture
async def both(
    launch: Launch, anthropic_stub: AnthropicStub, chat_fake: ChatCompletionsFake
) -> Daemon:
    """A daemon with both fakes as backends, `anthropic` (active) and `cerebras`."""
    backends = {
        "anthropic": anthropic_backend(anthropic_stub.url),
        "cerebras": cerebras_backend(chat_fake.url),
    }
    return await launch(toml("anthropic", backends))


@pytest.fixture
def claude_at(tmp_path: Path) -> Callable[[str], ClaudeCLI]:
    """The real Claude CLI, given a base URL."""
    binary = installed.require("claude")
    return lambda url: ClaudeCLI(binary, tmp_path / "home", url)
