"""The plainest aiohttp proxy: a yardstick. It relays bytes and knows nothing of what they mean.

`reference.py --upstream URL --ready-fd N`: takes any free port and writes one JSON line with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os

import aiohttp
import uvloop
from aiohttp import web

KEPT = frozenset({"x-api-key", "anthropic-version", "anthropic-beta", "content-type", "accept"})


class Relay:
    """Every request goes to the same path of `upstream`; every answer comes back as it is read."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self._upstream = upstream
        self._session = session

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {key: value for key, value in request.headers.items() if key.lower() in KEPT}
        async with self._session.request(
            request.method,
            self._upstream + request.path_qs,
            data=await request.content.read(),
            headers=headers,
        ) as answer:
            content_type = answer.headers.get("content-type", "application/json")
            if "content-length" in answer.headers:
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    headers={"content-type": content_type},
                )
            response = web.StreamResponse(
                status=answer.status, headers={"content-type": content_type}
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def serve(upstream: str, ready_fd: int) -> None:
    """Run until the process is ended."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        server = web.Server(Relay(upstream, session), access_log=None)
        runner = web.ServerRunner(server)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        status = {"port": runner.addresses[0][1], "pid": os.getpid()}
        os.write(ready_fd, json.dumps({"ok": True, "status": status}).encode() + b"\n")
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--ready-fd", type=int, default=1)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options.upstream, options.ready_fd))
