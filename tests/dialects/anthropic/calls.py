"""Calls to make exchanges of, without any configuration."""

from __future__ import annotations

import itertools
import json
from typing import Any

from llmproxyd.dialects.anthropic.dialect import Anthropic
from llmproxyd.spi import Backend, BackendEntry, Call, Limits, Quirks, ResponseHead, Secret, Target
from llmproxyd.wire.messages import Headers, parse_request

SSE = ResponseHead(200, (("content-type", "text/event-stream"),))
JSON = ResponseHead(200, (("content-type", "application/json"),))

GENUINE = Backend(
    kind="genuine", dialects=(Anthropic(),), base_url="https://api.test", takes_client_key=True
)
IMITATION = Backend(kind="imitation", dialects=(Anthropic(),), quirks=Quirks(repair=True))


def counting_entropy():
    """Characters that are different on every call, and predictable."""
    count = itertools.count()
    return lambda chars: str(next(count)).rjust(chars, "x")


def make_call(
    body: dict[str, Any] | bytes | None = None,
    *,
    backend: Backend = GENUINE,
    headers: Headers = (),
    query: str = "",
    secret: str | None = None,
    model: str | None = None,
    window: int | None = None,
    secrets: tuple[str, ...] = (),
    token_scale: float | None = None,
    **quirks: Any,
) -> Call:
    """One attempt on `backend`; `body` is merged into a small streaming request."""
    if not isinstance(body, bytes):
        defaults = {"model": "asked", "stream": True, "max_tokens": 100, "messages": []}
        body = json.dumps({**defaults, **(body or {})}).encode()
    request = parse_request(body, headers, query)
    dialect = Anthropic()
    entry = BackendEntry(
        name="box",
        backend=backend,
        url="http://box:1",
        dialect=dialect,
        secret=Secret(secret) if secret else None,
    )
    target = Target(
        entry=entry,
        model=model or request.model,
        quirks=backend.quirks.updated(quirks),
        limits=Limits(context_window=window),
    )
    return Call(
        request=request,
        target=target,
        dialect=dialect,
        request_id="req_1",
        entropy=counting_entropy(),
        secrets=secrets,
        token_scale=token_scale,
    )


def imitated(body: dict[str, Any] | bytes | None = None, **options: Any) -> Call:
    """A call to a server whose answers are repaired."""
    return make_call(body, backend=IMITATION, **options)


def sse(*payloads: dict[str, Any], named: bool = True) -> bytes:
    """The bytes of a stream of `payloads`."""
    out = b""
    for payload in payloads:
        name = f"event: {payload['type']}\n" if named else ""
        out += f"{name}data: {json.dumps(payload)}\n\n".encode()
    return out


def message_start(**usage: int) -> dict[str, Any]:
    """An upstream's `message_start`."""
    message = {
        "id": "msg_upstream",
        "type": "message",
        "role": "assistant",
        "model": "upstream-model",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 1, **usage},
    }
    return {"type": "message_start", "message": message}


def block_start(index: int, kind: str = "text", **fields: Any) -> dict[str, Any]:
    """A `content_block_start`."""
    empty = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"id": f"toolu_{index}", "name": "Bash", "input": {}},
    }
    block = {"type": kind, **empty.get(kind, {}), **fields}
    return {"type": "content_block_start", "index": index, "content_block": block}


def text(index: int, words: str) -> dict[str, Any]:
    """A text delta."""
    return _delta(index, {"type": "text_delta", "text": words})


def thinking(index: int, words: str) -> dict[str, Any]:
    """A thinking delta."""
    return _delta(index, {"type": "thinking_delta", "thinking": words})


def signature(index: int, value: str) -> dict[str, Any]:
    """A signature delta."""
    return _delta(index, {"type": "signature_delta", "signature": value})


def tool_input(index: int, part: str) -> dict[str, Any]:
    """A piece of a tool's input."""
    return _delta(index, {"type": "input_json_delta", "partial_json": part})


def block_stop(index: int) -> dict[str, Any]:
    """A `content_block_stop`."""
    return {"type": "content_block_stop", "index": index}


def message_delta(stop_reason: str | None = "end_turn", **usage: int) -> dict[str, Any]:
    """A `message_delta`."""
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5, **usage}}


STOP = {"type": "message_stop"}


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}
