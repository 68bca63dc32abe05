"""The older Python proxy that self-hosted users run: its servers must go on working unchanged.

It answers `/v1/messages` with plain JSON even when a stream was asked for, lists its models in
OpenAI's shape, has `/health`, and no Chat Completions route.
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from tests.fakes.answers import Answer
from tests.fakes.anthropic_events import message_of
from tests.fakes.anthropic_stub import AnthropicStub
from tests.fakes.server import Seen, run

MODEL = "qwen3-coder"


class OldPythonProxy(AnthropicStub):
    """An Anthropic-shaped server that can not stream."""

    name = "old-proxy"

    async def respond(self, request: web.Request, seen: Seen, answer: Answer) -> web.StreamResponse:
        if answer.error is not None:
            detail = {"detail": answer.error.message}
            return web.json_response(detail, status=answer.error.status)
        if seen.path == "/health":
            return web.json_response({"status": "healthy", "model": MODEL, "cache": "connected"})
        if seen.path == "/" and seen.method == "GET":
            return web.json_response({"message": "Claude proxy", "backend": "ollama"})
        if seen.path == "/v1/models" and seen.method == "GET":
            model = {"id": MODEL, "object": "model", "created": int(time.time())}
            return web.json_response({"object": "list", "data": [{**model, "owned_by": "ollama"}]})
        if seen.path == "/v1/messages" and seen.method == "POST":
            return await self._message(seen, answer)
        return web.json_response({"detail": "Not Found"}, status=404)

    async def _message(self, seen: Seen, answer: Answer) -> web.Response:
        if not isinstance(seen.body, dict):
            return web.json_response({"detail": "Invalid JSON"}, status=422)
        whole: dict[str, Any] = message_of(answer, seen.body)
        whole["usage"] = {"input_tokens": whole["usage"]["input_tokens"], "output_tokens": 25}
        whole["model"] = MODEL
        return web.json_response(whole)


if __name__ == "__main__":
    run(lambda port, log: OldPythonProxy(port=port, log=log), "the older Python proxy")
