"""A server that answers every call with a golden stream."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.sdk_accumulators.streams import STREAMS


async def _answer(request: web.Request) -> web.Response:
    name = f"{request.match_info['dialect']}/{request.match_info['case']}"
    return web.Response(
        body=STREAMS[name],
        headers={"content-type": "text/event-stream; charset=utf-8", "request-id": "req_golden"},
    )


@pytest.fixture
async def streams_url() -> AsyncIterator[str]:
    """Base of the URLs `…/<dialect>/<case>`, each an API of its own."""
    app = web.Application()
    app.router.add_post("/{dialect}/{case}/v1/messages", _answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")
