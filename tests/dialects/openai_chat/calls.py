"""Builders for the request side: a `Call` from a body, and the request that it becomes."""

from __future__ import annotations

import json
from typing import Any

from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.request import encode
from llmproxyd.spi import Backend, BackendEntry, Call, Limits, Quirks, Target
from llmproxyd.wire.messages import parse_request

MODEL = "upstream-model"
ENTRY = BackendEntry(
    name="test", backend=Backend(kind="test", dialects=()), url="http://test", dialect=None
)

# The providers that section 9 names, as far as the request side can tell them apart.
CEREBRAS = {
    "max_tokens_field": "max_completion_tokens",
    "temperature_max": 1.5,
    "image_url": "fetch",
    "image_types": ("image/png", "image/jpeg"),
    "reasoning_in": "reasoning",
    "parallel_flag": True,
    "response_format_with_tools": False,
}
GPT_OSS = {**CEREBRAS, "reasoning": True, "reasoning_control": "effort_always_on"}

PIXEL = "iVBORw0KGgo="


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": _content(content)}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": _content(content)}


def system(*content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "system", "content": _content(content), **more}


def _content(content: tuple[Any, ...]) -> Any:
    return content[0] if len(content) == 1 and isinstance(content[0], str) else list(content)


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def thinking(value: str, signature: str = "") -> dict[str, Any]:
    return {"type": "thinking", "thinking": value, "signature": signature}


def tool_use(tool_id: str, name: str = "Bash", tool_input: Any = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": tool_id, "name": name, "input": tool_input or {}}


def tool_result(tool_id: str, content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": tool_id, "content": content, **more}


def image(data: str = PIXEL, media_type: str = "image/png") -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def image_at(url: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "url", "url": url}}


def image_part(data: str = PIXEL, media_type: str = "image/png") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}


def tool(name: str = "Bash", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": f"{name}.", "input_schema": {"type": "object"}, **more}


def function(name: str = "Bash", **more: Any) -> dict[str, Any]:
    body = {
        "name": name,
        "description": f"{name}.",
        "parameters": {"type": "object", "properties": {}},
        **more,
    }
    return {"type": "function", "function": body}


def body_of(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "claude-x", "max_tokens": 32000, "messages": list(messages), **fields}


def call_of(
    body: dict[str, Any] | bytes,
    *,
    flags: dict[str, Any] | None = None,
    limits: Limits | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    **more: Any,
) -> Call:
    """A call with `body`, quirks `flags` and whatever else a `Call` holds."""
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    target = Target(
        entry=ENTRY, model=MODEL, quirks=Quirks(**flags or {}), limits=limits or Limits()
    )
    given = {"dialect": None, "request_id": "req_1", "entropy": _no_entropy, **more}
    return Call(request=parse_request(raw, headers), target=target, **given)


def _no_entropy(count: int) -> str:
    raise AssertionError("nothing random goes upstream")


def encoded(body: dict[str, Any] | bytes, **more: Any) -> Encoded:
    return encode(call_of(body, **more))


def sent(body: dict[str, Any] | bytes, **more: Any) -> dict[str, Any]:
    """The Chat Completions request that `body` becomes; `more` as for `call_of`."""
    return json.loads(encoded(body, **more).body)


def messages_of(*messages: dict[str, Any], **flags: Any) -> list[dict[str, Any]]:
    """The Chat Completions messages that `messages` become under `flags`."""
    return sent(body_of(*messages), flags=flags)["messages"]
