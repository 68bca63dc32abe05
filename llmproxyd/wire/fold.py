"""Between the two shapes of one answer: a stream of frames, and one JSON message.

A non-streaming answer is a stream that was folded, so there is one path through the proxy; a
backend that answers a stream request with plain JSON is unfolded into events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from llmproxyd.errors import BrokeProtocol
from llmproxyd.wire.frames import Frame, make_frame

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

# Which field of a delta carries the text that its block collects.
_TEXT_FIELD = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}


def fold(frames: Iterable[Frame]) -> bytes:
    """One JSON message from the frames of a complete stream.

    A sole `"message"` frame is returned as it is, byte for byte.

    Raises:
        BrokeProtocol: the frames hold no complete message.
    """
    try:
        message = _fold(frames)
    except (LookupError, TypeError, AttributeError, ValueError):
        # Frames of a pass-through are the backend's own, and need not make sense.
        raise BrokeProtocol("the backend's stream does not make a message") from None
    if message is None:
        raise BrokeProtocol("the backend's answer ended before it was complete")
    return message if isinstance(message, bytes) else _encode(message)


def _fold(frames: Iterable[Frame]) -> dict[str, Any] | bytes | None:
    """The message, the bytes of one that was not streamed, or None when it is not complete."""
    message: dict[str, Any] | None = None
    parts: dict[int, list[str]] = {}
    is_complete = False
    for frame in frames:
        if frame.event == "message":
            return frame.data
        if frame.event == "message_start":
            message = _decode(frame.data)["message"]
        elif message is not None:
            is_complete |= _apply(message, parts, frame)
    return message if is_complete else None


def _apply(message: dict[str, Any], parts: dict[int, list[str]], frame: Frame) -> bool:
    """Add one frame to `message`; True when the message is complete."""
    match frame.event:
        case "content_block_start":
            event = _decode(frame.data)
            message["content"].append(event["content_block"])
            parts[event["index"]] = []
        case "content_block_delta":
            event = _decode(frame.data)
            _append(message["content"][-1], parts[event["index"]], event["delta"])
        case "content_block_stop":
            _close(message["content"][-1], parts[_decode(frame.data)["index"]])
        case "message_delta":
            event = _decode(frame.data)
            message.update(event["delta"])
            message.setdefault("usage", {}).update(event.get("usage") or {})
        case "message_stop":
            return True
        case _:
            pass
    return False


def _append(block: dict[str, Any], parts: list[str], delta: dict[str, Any]) -> None:
    """Collect a delta; pieces are joined once, at the block's end, so long blocks stay linear."""
    kind = delta.get("type", "")
    if kind in _TEXT_FIELD:
        parts.append(delta[_TEXT_FIELD[kind]])
    elif kind == "citations_delta":
        block.setdefault("citations", []).append(delta.get("citation"))
    elif kind == "signature_delta":
        block["signature"] = block.get("signature", "") + delta["signature"]


def _close(block: dict[str, Any], parts: list[str]) -> None:
    text = "".join(parts)
    match block.get("type"):
        case "text":
            block["text"] = block.get("text", "") + text
        case "thinking":
            block["thinking"] = block.get("thinking", "") + text
        case "tool_use" | "server_tool_use" if text:
            block["input"] = parse_tool_input(text)
        case _:
            pass


def parse_tool_input(text: str) -> Any:
    """A tool's input from its JSON text.

    Text that is not one JSON object becomes the shape that the Claude CLI itself makes of it,
    so that the model is told "could not be parsed as JSON" and nothing is run by guess
    (translation spec, section 2.4).
    """
    try:
        value = _decode(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    return {"__unparsedToolInput": {"raw": text, "len": len(text.encode("utf-8", "replace"))}}


def unfold(message: dict[str, Any]) -> list[Frame]:
    """The events of a stream that would have carried `message`.

    Unknown fields survive: each block goes out as it is, except that text, thinking, signature
    and input move into deltas, where clients look for them.
    """
    head = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    usage = message.get("usage") or {"input_tokens": 0, "output_tokens": 0}
    head["usage"] = {**usage, "output_tokens": min(1, usage.get("output_tokens") or 0)}
    frames = [_frame({"type": "message_start", "message": head})]
    for index, block in enumerate(message.get("content") or []):
        frames += _unfold_block(index, block)
    ending = {key: message.get(key) for key in ("stop_reason", "stop_sequence")}
    ending |= {key: message[key] for key in ("stop_details", "container") if key in message}
    frames.append(_frame({"type": "message_delta", "delta": ending, "usage": usage}))
    frames.append(_frame({"type": "message_stop"}))
    return frames


def _unfold_block(index: int, block: dict[str, Any]) -> list[Frame]:
    head = dict(block)
    deltas: list[dict[str, Any]] = []
    match block.get("type"):
        case "text":
            head["text"] = ""
            deltas.append({"type": "text_delta", "text": block.get("text") or ""})
        case "thinking":
            head |= {"thinking": "", "signature": ""}
            deltas.append({"type": "thinking_delta", "thinking": block.get("thinking") or ""})
            deltas.append({"type": "signature_delta", "signature": block.get("signature") or ""})
        case "tool_use" | "server_tool_use":
            head["input"] = {}
            if block.get("input"):
                text = _encode(block["input"]).decode()
                deltas.append({"type": "input_json_delta", "partial_json": text})
        case _:
            pass
    start = {"type": "content_block_start", "index": index, "content_block": head}
    body = [
        _frame({"type": "content_block_delta", "index": index, "delta": delta})
        for delta in deltas
        if any(delta.get(key) for key in ("text", "thinking", "signature", "partial_json"))
    ]
    return [_frame(start), *body, _frame({"type": "content_block_stop", "index": index})]


def _frame(payload: dict[str, Any]) -> Frame:
    return make_frame(payload["type"], _encode(payload))
