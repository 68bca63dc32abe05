"""A server that is only bytes: for answers that no HTTP library would send."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self

HALF_A_FRAME = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    b'event: message_start\ndata: {"type": "message_sta'
)
NOT_HTTP = b"220 mail.example.test ESMTP ready\r\n"


class RawServer:
    """Reads a request's head, writes `answer`, then closes (or resets with `resets`).

    With `answer=None` it never answers. `connections` counts, `client_left` is set when a client
    closes its side first.
    """

    def __init__(self, answer: bytes | None, *, resets: bool = False) -> None:
        self.answer = answer
        self.resets = resets
        self.connections = 0
        self.client_left = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        """Its base URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if self.answer is None:
                while await reader.read(65536):
                    pass
                self.client_left.set()
            else:
                writer.write(self.answer)
                await writer.drain()
                await asyncio.sleep(0.05)
        if self.resets:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()
