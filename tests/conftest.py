"""Fixtures of the whole suite: fake upstreams, the daemon as a process, the real clients.

A test that takes `proxied` runs once for each way through a real daemon: to the fake Anthropic API
as to Anthropic's own host (bytes unchanged), to the same as to any other host (checked and
repaired), and to the fake Chat Completions API (translated).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
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


def anthropic_backend(url: str, *, repair: bool = False) -> dict[str, Any]:
    """A backend of type `anthropic` that passes the client's credential on.

    Without `repair` it is treated like Anthropic's own host, which has another address.
    """
    return {"type": "anthropic", "url": url, "quirks": {"repair": repair}}


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
    """A daemon with one backend; `name` is the backend's: `anthropic`, `repaired`, `cerebras`."""

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


DAEMONS = pytest.StashKey[list[Daemon]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """A test that failed shows what its daemons have logged."""
    report: pytest.TestReport = yield
    if report.failed:
        for daemon in item.stash.get(DAEMONS, []):
            report.sections.append((f"log of the daemon at {daemon.url}", daemon.text[-8000:]))
    return report


@pytest.fixture
async def launch(request: pytest.FixtureRequest) -> AsyncIterator[Launch]:
    """Starts daemons; at the end each must stop well and have kept the keys to itself."""
    daemons = request.node.stash.setdefault(DAEMONS, [])
    async with AsyncExitStack() as running:

        async def start(config: str, *arguments: str, **environment: str) -> Daemon:
            daemon = await Daemon.launch(config, *arguments, environment=environment)
            daemons.append(daemon)
            running.push_async_callback(daemon.stop)
            return daemon

        yield start


@pytest.fixture(params=["anthropic", "repaired", "cerebras"])
async def proxied(request: pytest.FixtureRequest, launch: Launch) -> AsyncIterator[Proxied]:
    """A daemon in front of one fake; the test fails if that had a reason to refuse a request."""
    name: str = request.param
    is_chat = name == "cerebras"
    async with ChatCompletionsFake(key=BACKEND_KEY) if is_chat else AnthropicStub() as fake:
        if is_chat:
            entry = cerebras_backend(fake.url)
        else:
            entry = anthropic_backend(fake.url, repair=name == "repaired")
        daemon = await launch(toml(name, {name: entry}))
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
