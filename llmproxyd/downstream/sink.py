"""aiohttp's side of an answer: a `delivery.Sink` over one HTTP request."""

from __future__ import annotations

import asyncio

from aiohttp import web

from llmproxyd.delivery import HeaderList


class HttpSink:
    """Writes one answer to one request; the handler returns `response` at the end."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._start_lock = asyncio.Lock()
        self.response: web.StreamResponse | None = None

    async def start(self, headers: HeaderList) -> None:
        """Send status and headers of a stream; a second call waits for the first."""
        async with self._start_lock:
            if self.response is None:
                response = web.StreamResponse(headers=headers)
                await response.prepare(self._request)
                self.response = response

    async def write(self, data: bytes) -> None:
        """Send bytes; waits for a slow reader."""
        if self.response is None:
            raise RuntimeError("write before start")
        await self.response.write(data)

    async def finish(self) -> None:
        """End the stream."""
        if self.response is None:
            raise RuntimeError("finish before start")
        await self.response.write_eof()

    async def reply(self, status: int, headers: HeaderList, body: bytes) -> None:
        """A whole answer, sent when the handler returns."""
        self.response = web.Response(status=status, headers=headers, body=body)
