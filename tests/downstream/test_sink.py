"""The aiohttp sink over a real connection."""

from __future__ import annotations

import asyncio

import pytest

from llmproxyd.downstream.sink import HttpSink


async def test_stream_is_started_once_however_many_start_it(aiohttp_raw_server, http):
    async def handle(request):
        sink = HttpSink(request)
        headers = [("content-type", "text/event-stream")]
        await asyncio.gather(sink.start(headers), sink.start(headers))
        await sink.write(b"a")
        await sink.write(b"b")
        await sink.finish()
        return sink.response

    server = await aiohttp_raw_server(handle)
    async with http.get(server.make_url("/")) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert await response.read() == b"ab"


async def test_whole_answer_is_sent_with_its_status(aiohttp_raw_server, http):
    async def handle(request):
        sink = HttpSink(request)
        await sink.reply(418, [("x-a", "1"), ("content-type", "application/json")], b"{}")
        return sink.response

    server = await aiohttp_raw_server(handle)
    async with http.get(server.make_url("/")) as response:
        assert (response.status, response.headers["x-a"]) == (418, "1")
        assert await response.read() == b"{}"


async def test_writing_before_the_start_is_a_bug():
    sink = HttpSink(None)
    with pytest.raises(RuntimeError):
        await sink.write(b"x")
    with pytest.raises(RuntimeError):
        await sink.finish()
