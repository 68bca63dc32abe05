"""Fixtures of the conformance tests: every case of the translation spec, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest

from tests.conformance.rig import CLIENT_KEY, Answer, Rig, rig
from tests.conformance.upstream import End, Reply, Upstream
from tests.conformance.vocabulary import TOOLS, says, sse, user, whole
from tests.conformance.vocabulary import request as messages_request
from tests.conformance.vocabulary import streamed as in_chunks
from tests.real.daemon import BACKEND_KEY, toml

GENERIC = "openai-compatible"


Build = Callable[..., Reply]


class Serve(Protocol):
    """Starts a proxy in front of a backend that gives these replies, the last one for ever."""

    async def __call__(self, *replies: Reply, kind: str = GENERIC, **entry: Any) -> Rig:
        """`entry` is what the configuration says beyond type, url and key; None takes one away."""
        ...


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Makes rigs; at the end none may have crashed, or have written a key down."""
    async with AsyncExitStack() as stack:
        rigs: list[Rig] = []

        async def start(*replies: Reply, kind: str = GENERIC, **entry: Any) -> Rig:
            upstream = await stack.enter_async_context(Upstream(*(replies or [says()])))
            own_address = {"url": f"http://{upstream.host}", "api_key": BACKEND_KEY}
            given = {"type": kind, **own_address, "retries": 0, **entry}
            written = {key: value for key, value in given.items() if value is not None}
            config = toml("up", {"up": written}, '[log]\nlevel = "debug"')
            rigs.append(await stack.enter_async_context(rig(config, upstream)))
            return rigs[-1]

        yield start
    for made in rigs:
        assert [] == made.logged("request_crashed")
        assert BACKEND_KEY not in made.output.getvalue()
        assert CLIENT_KEY not in made.output.getvalue()


@pytest.fixture(params=[whole, in_chunks], ids=["up-json", "up-stream"])
def build(request: pytest.FixtureRequest) -> Build:
    """How the backend answers."""
    made: Build = request.param
    return made


@pytest.fixture(params=[False, True], ids=["json", "stream"])
def streams(request: pytest.FixtureRequest) -> bool:
    """What the client asks for."""
    return bool(request.param)


async def answered(serve: Serve, reply: Reply, *, streams: bool, **fields: Any) -> Answer:
    """What a client gets that offers tools and wants to see thinking."""
    rig = await serve(reply)
    asked = {"tools": TOOLS, "thinking": {"type": "adaptive"}, **fields}
    answer = await rig.ask(messages_request(user("hi"), stream=streams, **asked))
    assert streams == answer.is_stream or answer.status != 200
    return answer


async def streamed(serve: Serve, *pieces: bytes, end: End = "whole", **fields: Any) -> Answer:
    """The same for a client that streams, and these bytes of the backend."""
    return await answered(serve, sse(*pieces, end=end), streams=True, **fields)
