"""The door for OpenAI clients: an answer in Messages, rewritten as a Chat Completion on its way out.

It sits between the pipeline and the connection, so both doors share one path; what this one
costs, only its own clients pay.
"""

from __future__ import annotations

from aiohttp import web

from llmproxyd.delivery import HeaderList
from llmproxyd.downstream.sink import HttpSink
from llmproxyd.reverse.answer import ChatOutlet
from llmproxyd.reverse.errors import from_anthropic
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.sse import SSEDecoder

_OK = 200


class ChatSink:
    """A `delivery.Sink` that writes for an OpenAI client."""

    def __init__(self, inner: HttpSink, outlet: ChatOutlet) -> None:
        self._inner = inner
        self._outlet = outlet
        self._events = SSEDecoder()

    @property
    def response(self) -> web.StreamResponse | None:
        """What the handler returns."""
        return self._inner.response

    async def start(self, headers: HeaderList) -> None:
        """Send status and headers of a stream."""
        await self._inner.start(headers)

    async def write(self, data: bytes) -> None:
        """Send events of a Messages stream as chunks.

        Raises:
            BrokeProtocol: a backend's own event, passed through, makes no sense.
        """
        events = self._events.feed(data)
        frames = [Frame(event.event, event.data, event.raw) for event in events if event.has_data]
        chunks = self._outlet.frames(frames)
        if chunks:
            await self._inner.write(chunks)

    async def finish(self) -> None:
        """End the stream."""
        await self._inner.finish()

    async def reply(self, status: int, headers: HeaderList, body: bytes) -> None:
        """A whole answer, or an error in OpenAI's envelope.

        Raises:
            BrokeProtocol: a backend's own message, passed through, makes no sense.
        """
        body = self._outlet.whole(body) if status == _OK else from_anthropic(body)
        own = [(name, value) for name, value in headers if name.lower() != "content-type"]
        await self._inner.reply(status, [("content-type", "application/json"), *own], body)
