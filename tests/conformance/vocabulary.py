"""The notation of section 9 as functions: `user`, `assistant`, `tool_use`, `delta`, `finish`, …"""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.upstream import JSON, End, Reply

Json = dict[str, Any]

MODEL = "claude-sonnet-4-6"
UPSTREAM_ID = "chatcmpl-7"
DONE = b"data: [DONE]\n\n"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA: Json = {"type": "object", "properties": {"command": {"type": "string"}}}


# ---- what the client sends
def request(*messages: Json, **fields: Any) -> Json:
    """A Messages request; without messages the user says "hi"."""
    return {
        "model": MODEL,
        "max_tokens": 1000,
        "messages": list(messages) or [user("hi")],
        **fields,
    }


def user(*blocks: Any) -> Json:
    """A user message; a single text goes as a plain string."""
    return {"role": "user", "content": _content(blocks)}


def assistant(*blocks: Any) -> Json:
    """The same of the assistant."""
    return {"role": "assistant", "content": _content(blocks)}


def system(text: Any, **fields: Any) -> Json:
    """A system message in the middle of a conversation."""
    return {"role": "system", "content": text, **fields}


def _content(blocks: tuple[Any, ...]) -> Any:
    is_plain = len(blocks) == 1 and isinstance(blocks[0], str)
    return blocks[0] if is_plain else [_block(block) for block in blocks]


def _block(block: Any) -> Any:
    return text(block) if isinstance(block, str) else block


def text(words: str, **fields: Any) -> Json:
    """A text block."""
    return {"type": "text", "text": words, **fields}


def thinking(words: str, signature: str = "sig") -> Json:
    """A thinking block."""
    return {"type": "thinking", "thinking": words, "signature": signature}


def tool_use(call_id: str, arguments: Any = None, name: str = "Bash") -> Json:
    """A call of a tool."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments or {}}


def tool_result(call_id: str, *content: Any, **fields: Any) -> Json:
    """The result of a call; without content the key is absent."""
    block = {"type": "tool_result", "tool_use_id": call_id, **fields}
    return block | {"content": content[0]} if content else block


def image(data: str = PNG, media_type: str = "image/png") -> Json:
    """An image block."""
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def tool(name: str = "Bash", **fields: Any) -> Json:
    """A tool of the client."""
    return {"name": name, "description": f"{name}.", "input_schema": SCHEMA, **fields}


TOOLS = [tool("Bash"), tool("Read")]


# ---- what the backend gets
def call(call_id: str, arguments: str = "{}", name: str = "Bash") -> Json:
    """One entry of `tool_calls`, as it goes up and as it comes down."""
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def function(name: str, description: str = "", parameters: Json | None = None) -> Json:
    """One entry of `tools`."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": SCHEMA if parameters is None else parameters,
        },
    }


# ---- what the backend answers
def data(payload: Any, newline: str = "\n") -> bytes:
    """One upstream event, its text as plain UTF-8."""
    words = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return f"data: {words}{newline}{newline}".encode()


def chunk(**fields: Any) -> Json:
    """One upstream chunk."""
    return {
        "id": UPSTREAM_ID,
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream-model",
        **fields,
    }


def delta(finish_reason: str | None = None, **fields: Any) -> bytes:
    """`d{…}`, with `fr` beside it if there is one."""
    choice = {"index": 0, "delta": fields, "finish_reason": finish_reason}
    return data(chunk(choices=[choice]))


def finish(reason: str) -> bytes:
    """`fr`."""
    return delta(reason)


def usage(prompt: int = 10, completion: int = 3, **details: Any) -> bytes:
    """The usage chunk."""
    return data(chunk(choices=[], usage=counts(prompt, completion, **details)))


def counts(prompt: int = 10, completion: int = 3, **details: Any) -> Json:
    """A usage object."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        **details,
    }


def tool_delta(
    index: int | None = 0,
    call_id: str | None = None,
    name: str | None = None,
    arguments: str | None = None,
) -> bytes:
    """`d{tool …}`; what is None is left out."""
    given = {"name": name, "arguments": arguments}
    piece: Json = {"index": index, "id": call_id, "type": "function" if call_id else None}
    piece["function"] = {key: value for key, value in given.items() if value is not None}
    return delta(tool_calls=[{key: value for key, value in piece.items() if value is not None}])


def sse(*pieces: bytes | float, end: End = "whole") -> Reply:
    """A stream of exactly these bytes."""
    return Reply(pieces, end=end)


def says(words: str = "hi", prompt: int = 10, completion: int = 3) -> Reply:
    """A well-made stream."""
    return sse(
        delta(role="assistant", content=""),
        delta(content=words),
        finish("stop"),
        usage(prompt, completion),
        DONE,
    )


def whole(
    message: Json, finish_reason: str | None = "stop", spent: Json | None = None, **fields: Any
) -> Reply:
    """A JSON answer."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, **message},
        "finish_reason": finish_reason,
        **fields,
    }
    return fails(
        200,
        {
            "id": UPSTREAM_ID,
            "object": "chat.completion",
            "created": 1,
            "model": "upstream-model",
            "choices": [choice],
            "usage": counts() if spent is None else spent,
        },
    )


def streamed(
    message: Json, finish_reason: str | None = "stop", spent: Json | None = None, **fields: Any
) -> Reply:
    """The same answer as a stream: a chunk for each field, one for each tool call."""
    pieces = [delta(role="assistant", content="")]
    for name, value in message.items():
        if name == "tool_calls":
            calls = [{"index": index, **entry} for index, entry in enumerate(value)]
            pieces += [delta(tool_calls=[entry]) for entry in calls]
        else:
            pieces.append(delta(**{name: value}))
    last = {"index": 0, "delta": {}, "finish_reason": finish_reason, **fields}
    pieces.append(data(chunk(choices=[last])))
    pieces.append(data(chunk(choices=[], usage=counts() if spent is None else spent)))
    return sse(*pieces, DONE)


def fails(status: int, body: Any, **headers: str) -> Reply:
    """An answer with `status` and a body: JSON, or the given text."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([raw], status=status, headers=JSON | named)
