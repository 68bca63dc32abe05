"""An independent reading of section 3.1: is this sequence of events a legal Messages stream?

It shares nothing with `wire/stream.py`: events become letters, and one regular expression says
which words are legal.
"""

from __future__ import annotations

import json
import re
from typing import Any

_EVENT = re.compile(rb"event: ([a-z_]+)\ndata: ([^\n\r]+)\n\n")
_LETTERS = {
    "message_start": "S",
    "start:text": "T",
    "start:thinking": "K",
    "start:tool_use": "U",
    "delta:text_delta": "t",
    "delta:thinking_delta": "k",
    "delta:signature_delta": "g",
    "delta:input_json_delta": "u",
    "content_block_stop": "E",
    "message_delta": "D",
    "message_stop": "Z",
}
_BLOCK = "Tt+E|Kk*gE|Uu*E"
_WHOLE = re.compile(f"S(?:{_BLOCK})*DZ")
# What may be there when an answer breaks off: blocks that the upstream finished, and one open.
_PREFIX = re.compile(f"(?:S(?:{_BLOCK})*(?:Tt+|Kk*|Uu*)?)?")
_STOP_REASONS = {"end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal"}
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MESSAGE_ID = re.compile(r"msg_[A-Za-z0-9]{20,}")
_COUNTS = {
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
}
Event = dict[str, Any]


def parse(wire: bytes) -> list[Event]:
    """The payloads of a stream; every event must have its `event:` line and one line of JSON."""
    events, at = [], 0
    while at < len(wire):
        match = _EVENT.match(wire, at)
        assert match is not None, wire[at : at + 200]
        payload = json.loads(match[2])
        assert payload["type"] == match[1].decode()
        events.append(payload)
        at = match.end()
    return events


def word(events: list[Event]) -> str:
    """The events as letters."""
    return "".join(_LETTERS[_name(event)] for event in events)


def _name(event: Event) -> str:
    match event["type"]:
        case "content_block_start":
            return f"start:{event['content_block']['type']}"
        case "content_block_delta":
            return f"delta:{event['delta']['type']}"
        case kind:
            return kind


def check(events: list[Event], *, is_whole: bool = True, history: set[str] = frozenset()) -> None:
    """Assert that a stream is legal: whole, or broken off."""
    letters = word(events)
    assert (_WHOLE if is_whole else _PREFIX).fullmatch(letters), letters
    _check_indices(events)
    _check_pieces(events)
    _check_tools(events, history)
    if events:
        _check_start(events[0])
    if is_whole:
        _check_end(events)


def _check_indices(events: list[Event]) -> None:
    index = -1
    for event in events:
        index += event["type"] == "content_block_start"
        assert event.get("index", index) == index


def _check_pieces(events: list[Event]) -> None:
    """Starts are empty, deltas are not, and no text block is blank."""
    blank = True
    for event in events:
        if event["type"] == "content_block_start":
            block = dict(event["content_block"])
            kind = block.pop("type")
            if kind == "tool_use":
                assert block.pop("input") == {}
                assert set(block) == {"id", "name"}
                assert block["name"]
            else:
                names = {"text": {"text"}, "thinking": {"thinking", "signature"}}[kind]
                assert block == dict.fromkeys(names, "")
            blank = kind == "text"
        elif event["type"] == "content_block_delta":
            (piece,) = (value for key, value in event["delta"].items() if key != "type")
            assert isinstance(piece, str)
            assert piece
            blank = blank and not piece.strip()
        elif event["type"] == "content_block_stop":
            assert not blank


def _check_tools(events: list[Event], history: set[str]) -> None:
    ids = [
        event["content_block"]["id"]
        for event in events
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use"
    ]
    assert len(ids) == len(set(ids))
    assert not set(ids) & set(history)
    assert all(_TOOL_ID.fullmatch(tool_id) for tool_id in ids)


def _check_start(event: Event) -> None:
    message = event["message"]
    assert _MESSAGE_ID.fullmatch(message["id"])
    assert message["content"] == []
    assert message["stop_reason"] is None
    assert message["role"] == "assistant"
    assert set(message["usage"]) >= _COUNTS


def _check_end(events: list[Event]) -> None:
    delta, usage = events[-2]["delta"], events[-2]["usage"]
    assert delta["stop_reason"] in _STOP_REASONS
    assert (delta["stop_sequence"] is not None) == (delta["stop_reason"] == "stop_sequence")
    has_tool = "U" in word(events)
    assert not (delta["stop_reason"] == "tool_use" and not has_tool)
    assert not (has_tool and delta["stop_reason"] in ("end_turn", "stop_sequence"))
    assert all(isinstance(usage[name], int) and usage[name] >= 0 for name in _COUNTS)


def aggregate(events: list[Event]) -> dict[str, Any]:
    """The message that a client makes of a whole stream."""
    message = dict(events[0]["message"])
    content: list[dict[str, Any]] = []
    pieces: list[str] = []
    for event in events:
        match event["type"]:
            case "content_block_start":
                content.append(dict(event["content_block"]))
                pieces = []
            case "content_block_delta":
                _add(content[-1], event["delta"], pieces)
            case "content_block_stop" if content[-1]["type"] == "tool_use":
                content[-1]["input"] = _tool_input("".join(pieces))
            case "message_delta":
                message |= event["delta"]
                message["usage"] = message["usage"] | event["usage"]
    return message | {"content": content}


def _add(block: dict[str, Any], delta: dict[str, Any], pieces: list[str]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            pieces.append(delta["partial_json"])


def _tool_input(text: str) -> Any:
    """What the client makes of a tool's input."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    return {"__unparsedToolInput": {"raw": text, "len": len(text.encode())}}
