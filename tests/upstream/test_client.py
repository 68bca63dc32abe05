"""The upstream client against real sockets: what it sends, and what each failure becomes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from llmproxyd.errors import BrokeProtocol, TimedOut, Unreachable
from llmproxyd.spi import Timeouts, UpstreamRequest
from llmproxyd.upstream.client import MAX_ERROR_BODY_BYTES, UpstreamClient

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


@pytest.fixture
async def client() -> AsyncIterator[UpstreamClient]:
    client = UpstreamClient({})
    yield client
    await client.close()


@asynccontextmanager
async def raw_server(script: Script) -> AsyncIterator[str]:
    """A TCP server that reads one request's head and then does what `script` says."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def post(url: str, **fields) -> UpstreamRequest:
    return UpstreamRequest(url=url, headers=(("X-Case", "Kept"),), body=b"{}", **fields)


async def read_all(response) -> bytes:
    body = b""
    while data := await response.read():
        body += data
    return body


@pytest.mark.parametrize("size", [2, 3 * 1024 * 1024], ids=["small", "large"])
async def test_request_goes_up_as_given_and_nothing_is_added(client, aiohttp_server, size):
    seen = {}

    async def echo(request: web.Request) -> web.Response:
        seen["headers"] = dict(request.headers)
        seen["path"] = request.raw_path
        seen["body"] = await request.read()
        return web.Response(body=b"done", headers={"X-Reply": "1"})

    app = web.Application(client_max_size=0)
    app.router.add_post("/v1/messages", echo)
    server = await aiohttp_server(app)
    url = f"http://127.0.0.1:{server.port}/v1/messages?beta=true&x=%2F"
    request = msgspec.structs.replace(post(url), body=b"x" * size)
    response = await client.open(request, "b", Timeouts())
    assert await read_all(response) == b"done"
    assert response.head.header("x-reply") == "1"
    response.close()
    assert seen["path"] == "/v1/messages?beta=true&x=%2F"
    assert seen["body"] == b"x" * size
    assert set(seen["headers"]) == {"Host", "X-Case", "Content-Length"}


async def test_connection_is_reused_when_the_body_was_read(client, aiohttp_server):
    peers = []

    async def note(request: web.Request) -> web.Response:
        peers.append(request.transport.get_extra_info("peername"))
        return web.Response(body=b"x")

    app = web.Application()
    app.router.add_post("/", note)
    server = await aiohttp_server(app)
    for _ in range(3):
        response = await client.open(post(f"http://127.0.0.1:{server.port}/"), "b", Timeouts())
        await read_all(response)
        assert response.is_at_end
        response.close()
    assert len(set(peers)) == 1


async def test_long_header_of_an_answer_is_read(client):
    async def answer(_reader, writer):
        writer.write(OK + b"x-long: " + b"a" * 60_000 + b"\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with raw_server(answer) as url:
        response = await client.open(post(url), "b", Timeouts())
        assert len(response.head.header("x-long")) == 60_000
        response.close()


async def test_drain_waits_only_briefly_for_the_end_of_a_body(client):
    gone = asyncio.Event()

    async def silent(reader, writer):
        writer.write(OK + b"content-length: 9\r\n\r\n12345")
        await reader.read(100)  # the body of the request, or nothing
        while await reader.read(100):
            pass
        gone.set()

    async with raw_server(silent) as url:
        response = await client.open(post(url), "b", Timeouts())
        await response.drain()
        await asyncio.wait_for(gone.wait(), 5)


async def test_early_close_cuts_the_upstream_off(client):
    gone = asyncio.Event()

    async def endless(reader, writer):
        writer.write(OK + b"\r\ndata: 1\n\n")
        await writer.drain()
        while await reader.read(100):
            pass
        gone.set()

    async with raw_server(endless) as url:
        response = await client.open(post(url), "b", Timeouts())
        assert await response.read()
        response.close()
        await asyncio.wait_for(gone.wait(), 5)


async def test_refused_connection_names_backend_and_address(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        await client.open(post(f"http://127.0.0.1:{port}/v1"), "vast", Timeouts())
    assert caught.value.message == f"backend vast is not running at 127.0.0.1:{port}"
    assert (caught.value.status, caught.value.kind) == (502, "api_error")


async def test_unknown_host_is_named(client):
    with pytest.raises(Unreachable) as caught:
        await client.open(post("http://no-such-host.invalid/v1"), "b", Timeouts())
    assert "no-such-host.invalid" in caught.value.message


async def test_connection_closed_before_an_answer_is_unreachable(client):
    async def slam(reader, writer):
        writer.close()

    async with raw_server(slam) as url:
        with pytest.raises(Unreachable) as caught:
            await client.open(post(url), "b", Timeouts())
    assert "closed the connection before it answered" in caught.value.message


async def test_answer_that_is_not_http_breaks_the_protocol(client):
    async def chatter(reader, writer):
        writer.write(b"SMTP ready\r\n\r\n")
        await writer.drain()

    async with raw_server(chatter) as url:
        with pytest.raises(BrokeProtocol):
            await client.open(post(url), "b", Timeouts())


async def test_body_cut_in_the_middle_breaks_the_protocol(client):
    async def cut(reader, writer):
        writer.write(OK + b"content-length: 100\r\n\r\ndata: 1\n\n")
        await writer.drain()

    async with raw_server(cut) as url:
        response = await client.open(post(url), "b", Timeouts())
        with pytest.raises(BrokeProtocol):
            await read_all(response)
        response.close()


async def test_silence_before_the_headers_times_out_as_first_byte(client):
    async def silent(reader, writer):
        await reader.read()

    async with raw_server(silent) as url:
        with pytest.raises(TimedOut) as caught:
            await client.open(post(url), "slow", Timeouts(first_byte_s=0.05))
    assert "timeouts.first_byte of backend slow" in caught.value.message
    assert (caught.value.status, caught.value.kind) == (504, "timeout_error")


@pytest.mark.parametrize("first", [b"", b"data: 1\n\n"])
async def test_silence_inside_the_body_times_out(client, first):
    async def stall(reader, writer):
        writer.write(OK + b"\r\n" + first)
        await writer.drain()
        await reader.read()

    async with raw_server(stall) as url:
        limits = Timeouts(first_byte_s=0.1, idle_s=0.05)
        response = await client.open(post(url), "b", limits)
        with pytest.raises(TimedOut) as caught:
            await read_all(response)
        response.close()
    assert "sent nothing for" in caught.value.message


async def test_trickle_of_bytes_keeps_an_answer_alive_beyond_the_idle_limit(client):
    async def trickle(reader, writer):
        writer.write(OK + b"\r\n")
        for _ in range(8):
            writer.write(b": still here\n\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with raw_server(trickle) as url:
        response = await client.open(post(url), "b", Timeouts(first_byte_s=0.3, idle_s=0.3))
        assert (await read_all(response)).count(b"still here") == 8
        response.close()


async def test_client_that_does_not_read_is_no_silence_of_the_backend(client):
    go_on = asyncio.Event()

    async def two_words(reader, writer):
        writer.write(OK + b"\r\n1")
        await writer.drain()
        await go_on.wait()
        writer.write(b"2")
        await writer.drain()

    async with raw_server(two_words) as url:
        response = await client.open(post(url), "b", Timeouts(first_byte_s=9, idle_s=0.5))
        assert await response.read() == b"1"
        await asyncio.sleep(0.8)  # the relay stands still: its client is suspended
        go_on.set()
        assert await response.read() == b"2"
        response.close()


async def test_error_body_is_cut_at_the_limit(client):
    async def flood(reader, writer):
        writer.write(b"HTTP/1.1 500 no\r\n\r\n" + b"x" * (MAX_ERROR_BODY_BYTES + 5000))
        await writer.drain()

    async with raw_server(flood) as url:
        response = await client.open(post(url), "b", Timeouts())
        assert len(await response.read_error()) == MAX_ERROR_BODY_BYTES
        response.close()


async def test_redirects_are_not_followed(client, aiohttp_server):
    async def away(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://other.invalid/"})

    app = web.Application()
    app.router.add_post("/", away)
    server = await aiohttp_server(app)
    response = await client.open(post(f"http://127.0.0.1:{server.port}/"), "b", Timeouts())
    assert response.head.status == 307
    response.close()
