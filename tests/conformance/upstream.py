"""A scripted backend: it keeps what it was sent and answers with the bytes that it was given.

It speaks HTTP/1.1 by itself, so that an answer can be split, cut or withheld at any byte.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

End = Literal["whole", "eof", "cut", "reset", "hold"]
SSE = {"content-type": "text/event-stream; charset=utf-8"}
JSON = {"content-type": "application/json"}
LONGEST_HEAD = 64 * 1024


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        pieces: written one after another, each as a chunk of its own; a number is a pause in
            seconds.
        end: `whole` ends the body as HTTP wants it; `eof` sends a body without any length and
            closes; `cut` closes in the middle of a chunked body, `reset` resets there; `hold`
            sends nothing more until the client has left.
        head_after_s: silence before the status line.
    """

    pieces: Sequence[bytes | float]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: dict(SSE))
    end: End = "whole"
    head_after_s: float = 0.0

    @property
    def head(self) -> bytes:
        """Status line and headers."""
        framing = "connection: close" if self.end == "eof" else "transfer-encoding: chunked"
        lines = [f"HTTP/1.1 {self.status} Scripted", framing]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def framed(self, piece: bytes) -> bytes:
        """`piece` as it goes over the wire."""
        return piece if self.end == "eof" else b"%x\r\n%b\r\n" % (len(piece), piece)


NOT_FOUND = Reply([b"{}"], status=404, headers=JSON)


@dataclass
class Received:
    """One request as it came in; `left` is set when its client closes a held answer."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    left: asyncio.Event = field(default_factory=asyncio.Event)
    left_at_s: float = 0.0

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object in it."""
        body: dict[str, Any] = json.loads(self.raw)
        return body


class Upstream:
    """Serves `replies` in turn, the last one for ever; what is asked by GET it does not have."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[Received] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=LONGEST_HEAD)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def host(self) -> str:
        """Its address, `host:port`."""
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def request(self) -> Received:
        """The one request that it got."""
        assert len(self.requests) == 1, [request.path for request in self.requests]
        return self.requests[0]

    @property
    def body(self) -> dict[str, Any]:
        """The body of the one request that it got."""
        return self.request.body

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the one request that it got."""
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    def script(self, *replies: Reply) -> None:
        """Answer with these from now on."""
        self._replies = list(replies)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            is_open = True
            while is_open:
                received = await _read(reader)
                if received.method == "GET":  # the proxy looks around by itself
                    await _write(NOT_FOUND, writer)
                    continue
                self.requests.append(received)
                reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
                await _write(reply, writer)
                is_open = reply.end == "whole"
                if reply.end == "hold":
                    while await reader.read(LONGEST_HEAD):
                        pass
                    received.left_at_s = time.monotonic()
                    received.left.set()
                if reply.end == "reset":
                    linger = struct.pack("ii", 1, 0)
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, raw)


async def _write(reply: Reply, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(reply.head_after_s)
    writer.write(reply.head)
    for piece in reply.pieces:
        if isinstance(piece, bytes):
            writer.write(reply.framed(piece))
            await writer.drain()
            await asyncio.sleep(0)  # the other side may read each piece by itself
        else:
            await asyncio.sleep(piece)
    if reply.end == "whole":
        writer.write(b"0\r\n\r\n")
    await writer.drain()
