"""Answers in Anthropic's wire format: one message, or the events of a stream."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.fakes.answers import Answer, Block

Event = tuple[str, dict[str, Any]]

_VERDICTS: dict[str, dict[str, Any]] = {
    "ok": {"type": "evaluated", "outcome": "not_flagged"},
    "flag": {"type": "evaluated", "outcome": "flagged", "explanation": "stub flags this"},
    "unavailable": {"type": "unavailable", "reason": "error"},
}
# Where an event goes when two blocks are to be open at once.
_INTERLEAVED = {"content_block_start": 1, "content_block_delta": 2, "content_block_stop": 3}


def message_id() -> str:
    """A fresh message id."""
    return f"msg_stub{uuid.uuid4().hex[:24]}"


def usage_of(answer: Answer, body: dict[str, Any]) -> dict[str, Any] | None:
    """The usage object of an answer; the input count follows the size of the request."""
    if answer.usage == "none":
        return None
    counts: dict[str, Any] = {
        "input_tokens": max(1, len(json.dumps(body)) // 4),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 25,
        "service_tier": "standard",
    }
    if answer.usage == "late":
        counts["input_tokens"] = 0
    if answer.usage == "zero":
        counts |= {key: 0 for key, value in counts.items() if isinstance(value, int)}
    return counts


def message_of(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    """The whole answer as one message."""
    content = [
        {key: value for key, value in block.items() if not key.startswith("_")}
        for block in answer.content
    ]
    message: dict[str, Any] = {
        "id": message_id(),
        "type": "message",
        "role": "assistant",
        "model": answer.model or body.get("model") or "stub-model",
        "content": content,
        "stop_reason": answer.stop,
        "stop_sequence": None,
    }
    usage = usage_of(answer, body)
    if usage is not None:
        message["usage"] = usage
    if "field" in answer.unknown:
        message["x_unknown_top"] = {"a": 1}
        for block in content:
            block["x_unknown_block_field"] = True
    return message


def _pieces(words: str, size: int) -> list[str]:
    return [words[start : start + size] for start in range(0, len(words), size)]


def _block_events(index: int, block: Block, raw_json: str | None, answer: Answer) -> list[Event]:
    deltas: list[dict[str, Any]] = []
    head = block
    match block["type"]:
        case "text":
            head = {**block, "text": ""}
            deltas = [
                {"type": "text_delta", "text": piece}
                for piece in _pieces(block["text"], answer.chunk)
            ]
        case "thinking":
            head = {**block, "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": piece}
                for piece in _pieces(block["thinking"], answer.chunk)
            ]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use":
            head = {**block, "input": {}}
            whole = raw_json or json.dumps(block["input"])
            deltas = [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in ["", *_pieces(whole, answer.chunk)]
            ]
    start: dict[str, Any] = {"type": "content_block_start", "index": index, "content_block": head}
    events: list[Event] = [("content_block_start", start)]
    if index == 0:
        events.append(("ping", {"type": "ping"}))
    if "delta" in answer.unknown:
        deltas.insert(0, {"type": "x_unknown_delta", "foo": "bar"})
    events += [
        ("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})
        for delta in deltas
    ]
    events.append(("content_block_stop", {"type": "content_block_stop", "index": index}))
    return events


def _ending(answer: Answer, message: dict[str, Any], body: dict[str, Any]) -> Event:
    delta: dict[str, Any] = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    if answer.safeguards is not None:
        verdict = _VERDICTS[answer.safeguards]
        ids = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        status = {"type": "available", "tool_uses": dict.fromkeys(ids, verdict)}
        delta["safeguard_results"] = [{"type": "dangerous_tool_use", "status": status}]
    event: dict[str, Any] = {"type": "message_delta", "delta": delta}
    if "usage" in message:
        usage = message["usage"]
        event["usage"] = {"output_tokens": usage["output_tokens"]}
        if answer.usage == "late":
            event["usage"]["input_tokens"] = max(1, len(json.dumps(body)) // 4)
        elif answer.usage == "full":
            for key in (
                "input_tokens",
                "cache_creation_input_tokens",
                "cache_read_input_tokens",
            ):
                event["usage"][key] = usage[key]
    return "message_delta", event


def events_of(answer: Answer, body: dict[str, Any]) -> list[Event]:
    """The events of a whole streamed answer, in order."""
    message = message_of(answer, body)
    head = {**message, "content": [], "stop_reason": None}
    if "usage" in message:
        head["usage"] = {
            **message["usage"],
            "output_tokens": min(1, message["usage"]["output_tokens"]),
        }
    middle: list[Event] = []
    if "event" in answer.unknown:
        middle.append(("x_stub_unknown_event", {"type": "x_stub_unknown_event", "foo": {"bar": 1}}))
    for index, block in enumerate(message["content"]):
        raw_json = answer.content[index].get("_raw_json")
        middle += _block_events(index, block, raw_json, answer)
    if "block" in answer.unknown:
        odd = {"type": "x_unknown_block", "payload": "zzz"}
        middle += _block_events(len(message["content"]), odd, None, answer)
    if answer.interleave:
        middle.sort(key=lambda event: _INTERLEAVED.get(event[0], 0))
    events: list[Event] = [
        ("message_start", {"type": "message_start", "message": head}),
        *middle,
        _ending(answer, message, body),
        ("message_stop", {"type": "message_stop"}),
    ]
    return [event for event in events if event[0] not in answer.omit]


def encoded(event: Event, answer: Answer) -> bytes:
    """One event as SSE bytes."""
    name, data = event
    line = "" if answer.dataonly else f"event: {name}\n"
    return f"{line}data: {json.dumps(data)}\n\n".encode()
