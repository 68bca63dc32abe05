"""Builders for the response side: upstream bytes, and what the client gets for them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.errors import UpstreamError
from llmproxyd.spi import Call, Exchange, ResponseDecoder, ResponseHead
from llmproxyd.wire.frames import Frame
from tests.dialects.openai_chat import grammar
from tests.dialects.openai_chat.calls import body_of, call_of, tool, user

DONE = b"data: [DONE]\n\n"
STREAM = "text/event-stream"
JSON = "application/json"
USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
HIGH = {"type": "adaptive"}


class Entropy:
    """Random characters that are not: `000…1`, `000…2`, … of the asked length."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, count: int) -> str:
        return f"{next(self._numbers):0{count}}"


class Store(dict[str, str]):
    """A reasoning store."""

    def put(self, key: str, text: str) -> None:
        self[key] = text


def make_call(*messages: dict[str, Any], body: dict[str, Any] | None = None, **more: Any) -> Call:
    """A streaming call with two tools that wants thinking; `body` changes the request."""
    request = body_of(
        *(messages or (user("hi"),)),
        **{"stream": True, "thinking": HIGH, "tools": [tool("Bash"), tool("Read")]} | (body or {}),
    )
    return call_of(request, **{"entropy": Entropy()} | more)


def make_exchange(*messages: dict[str, Any], **more: Any) -> Exchange:
    return OpenAIChat().exchange(make_call(*messages, **more))


def head(content_type: str = STREAM, status: int = 200, **headers: str) -> ResponseHead:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return ResponseHead(status, (("content-type", content_type), *pairs))


def event(payload: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + _json(payload) + b"\n\n"


def _json(payload: Any) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode()


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One `chat.completion.chunk` as an event; `more` goes beside `choices`."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return event(
        {"id": "chatcmpl-7", "object": "chat.completion.chunk", "choices": [choice]} | more
    )


def said(text: str) -> bytes:
    return chunk({"content": text})


def thought(text: str) -> bytes:
    return chunk({"reasoning_content": text})


def called(
    arguments: Any = None, *, name: str | None = None, call_id: str | None = None, index: Any = 0
) -> bytes:
    """A chunk with one tool-call delta; parts that are None are left out."""
    function = {"name": name, "arguments": arguments}
    delta = {
        "index": index,
        "id": call_id,
        "function": {key: value for key, value in function.items() if value is not None},
    }
    return chunk(
        {"tool_calls": [{key: value for key, value in delta.items() if value is not None}]}
    )


def usage_chunk(usage: dict[str, Any] = USAGE) -> bytes:
    return event({"choices": [], "usage": usage})


def completion(
    message: dict[str, Any] | None = None, finish: str | None = "stop", **more: Any
) -> bytes:
    """A whole `chat.completion`."""
    choice = {"index": 0, "message": message or {}, "finish_reason": finish}
    return _json(
        {"id": "chatcmpl-7", "object": "chat.completion", "choices": [choice], "usage": USAGE}
        | more
    )


@dataclass
class Decoded:
    """What became of an answer."""

    decoder: ResponseDecoder
    frames: list[Frame]

    @property
    def wire(self) -> bytes:
        return b"".join(frame.wire for frame in self.frames)

    @property
    def events(self) -> list[dict[str, Any]]:
        return grammar.parse(self.wire)

    @property
    def word(self) -> str:
        return grammar.word(self.events)

    @property
    def failure(self) -> UpstreamError:
        assert self.decoder.failure is not None
        return self.decoder.failure

    @property
    def message(self) -> dict[str, Any]:
        """The aggregate of a whole and legal stream."""
        assert self.decoder.failure is None, self.decoder.failure.message
        assert self.decoder.is_done
        grammar.check(self.events)
        return grammar.aggregate(self.events)

    @property
    def content(self) -> list[dict[str, Any]]:
        """The blocks, without signatures and ids."""
        return [
            {key: value for key, value in block.items() if key not in ("signature", "id")}
            for block in self.message["content"]
        ]


def feed(decoder: ResponseDecoder, pieces: Iterable[bytes]) -> Decoded:
    """Feed pieces as the pipeline does, to the end of the body."""
    frames: list[Frame] = []
    for piece in pieces:
        frames += decoder.feed(piece)
        if decoder.is_done or decoder.failure is not None:
            break
    else:
        frames += decoder.end()
    return Decoded(decoder, frames)


def decode(*pieces: bytes, content_type: str = STREAM, **more: Any) -> Decoded:
    """Decode a streamed answer that ends with `pieces`; `more` as for `make_call`."""
    return feed(make_exchange(**more).decoder(head(content_type)), pieces)


def decode_json(data: bytes, **more: Any) -> Decoded:
    """Decode a plain JSON answer."""
    return decode(data, content_type=JSON, **more)


def text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def thinking_block(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text}


def tool_block(tool_input: Any, name: str = "Bash") -> dict[str, Any]:
    return {"type": "tool_use", "name": name, "input": tool_input}


def unparsed(raw: str) -> dict[str, Any]:
    return {"__unparsedToolInput": {"raw": raw, "len": len(raw.encode())}}
