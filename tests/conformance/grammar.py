"""Is this what a Messages client may be sent? An automaton of section 3.1 and the invariants.

Written from the translation spec alone: it knows nothing of the code that makes the events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

Event = dict[str, Any]

MESSAGE_ID = re.compile(r"msg_[A-Za-z0-9]{20,}")
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
STOP_REASONS = {"end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal"}
ERROR_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "conflict_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "timeout_error",
    "overloaded_error",
}
COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
# Block type to the deltas it may have and the field that holds their piece.
DELTAS = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
}
EMPTY_START: dict[str, Event] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}


def read(wire: bytes) -> list[Event]:
    """The events of a stream, pings too; each must be an `event:` line and one `data:` line."""
    text = wire.decode()
    assert "\r" not in text
    assert text == "" or text.endswith("\n\n"), text[-80:]
    events = []
    for frame in text.split("\n\n")[:-1]:
        name, data = frame.split("\n")
        assert name.startswith("event: "), frame
        assert data.startswith("data: "), frame
        event = json.loads(data.removeprefix("data: "))
        assert name.removeprefix("event: ") == event["type"], frame
        events.append(event)
    return events


class Checker:
    """Takes a stream event by event; raises AssertionError at the first one that is not legal."""

    def __init__(self, history_ids: Collection[str] = ()) -> None:
        self._tool_ids = set(history_ids)
        self._blocks: list[str] = []  # the types of the blocks that were begun
        self._pieces: list[Event] | None = None  # the deltas of the open block
        self._stop_reason: str | None = None
        self.state = "new"  # new, started, delta, stopped, failed

    def take(self, event: Event) -> None:
        """One event."""
        handler = getattr(self, f"_on_{event['type']}", None)
        assert handler is not None, f"unknown event {event}"
        assert self.state not in {"stopped", "failed"}, f"{event} after the end"
        handler(event)

    def _on_ping(self, event: Event) -> None:
        assert {"type": "ping"} == event

    def _on_error(self, event: Event) -> None:
        assert {"type", "error", "request_id"} == set(event)
        assert {"type", "message"} == set(event["error"])
        assert event["error"]["type"] in ERROR_TYPES
        assert event["error"]["message"].strip()
        assert event["request_id"].startswith("req_")
        assert self.state != "delta", "an answer that is complete can not fail"
        self.state = "failed"

    def _on_message_start(self, event: Event) -> None:
        assert "new" == self.state
        message = event["message"]
        assert ("message", "assistant") == (message["type"], message["role"])
        assert MESSAGE_ID.fullmatch(message["id"]), message["id"]
        assert [] == message["content"]
        assert message["stop_reason"] is None
        assert message["stop_sequence"] is None
        check_usage(message["usage"])
        self.state = "started"

    def _on_content_block_start(self, event: Event) -> None:
        assert "started" == self.state
        assert self._pieces is None, "two blocks are open"
        assert len(self._blocks) == event["index"], "indices are not consecutive"
        block = event["content_block"]
        assert block["type"] in DELTAS
        if block["type"] == "tool_use":
            assert {"type", "id", "name", "input"} == set(block)
            assert {} == block["input"]
            self._check_tool(block)
        else:
            assert EMPTY_START[block["type"]] == block
        self._blocks.append(block["type"])
        self._pieces = []

    def _on_content_block_delta(self, event: Event) -> None:
        assert self._pieces is not None, "a delta outside of a block"
        assert len(self._blocks) - 1 == event["index"]
        delta = event["delta"]
        fields = DELTAS[self._blocks[-1]]
        assert {"type", fields[delta["type"]]} == set(delta)
        assert delta[fields[delta["type"]]] != "", "an empty delta"
        assert not any(piece["type"] == "signature_delta" for piece in self._pieces)
        self._pieces.append(delta)

    def _on_content_block_stop(self, event: Event) -> None:
        assert self._pieces is not None, "a stop outside of a block"
        assert len(self._blocks) - 1 == event["index"]
        match self._blocks[-1]:
            case "text":
                assert "".join(piece["text"] for piece in self._pieces).strip()
            case "thinking":
                assert self._pieces, "thinking without a signature"
                assert "signature_delta" == self._pieces[-1]["type"]
            case "tool_use" if self._pieces:
                assert "".join(piece["partial_json"] for piece in self._pieces)[0] == "{"
        self._pieces = None

    def _on_message_delta(self, event: Event) -> None:
        assert "started" == self.state
        assert self._pieces is None, "the message ends in the middle of a block"
        delta = event["delta"]
        check_ending(delta, has_tools="tool_use" in self._blocks)
        check_usage(event["usage"])
        self._stop_reason = delta["stop_reason"]
        self.state = "delta"

    def _on_message_stop(self, event: Event) -> None:
        assert {"type": "message_stop"} == event
        assert "delta" == self.state
        self.state = "stopped"

    def _check_tool(self, block: Event) -> None:
        assert TOOL_ID.fullmatch(block["id"]), block["id"]
        assert block["id"] not in self._tool_ids, f"{block['id']} is used twice"
        self._tool_ids.add(block["id"])
        assert block["name"]


def check_usage(usage: Event) -> None:
    """All four counts are there, and are whole numbers."""
    for name in COUNTS:
        assert isinstance(usage[name], int), usage
        assert usage[name] >= 0, usage


def check_ending(ending: Event, *, has_tools: bool) -> None:
    """Stop reason and stop sequence, against each other and against the blocks."""
    reason = ending["stop_reason"]
    assert reason in STOP_REASONS
    assert (reason == "stop_sequence") == (ending["stop_sequence"] is not None)
    if reason == "tool_use":
        assert has_tools, "tool_use without a tool_use block"
    if reason == "end_turn":
        assert not has_tools, "a tool_use block, and the turn ends"


def check_stream(events: list[Event], history_ids: Collection[str] = ()) -> str:
    """Assert that a stream is legal; how it ended: `stopped` or `failed`."""
    checker = Checker(history_ids)
    for event in events:
        checker.take(event)
    assert checker.state in {"stopped", "failed"}, "the stream has no ending"
    return checker.state


def check_message(message: Event, history_ids: Collection[str] = ()) -> None:
    """Assert that a whole message is legal."""
    assert ("message", "assistant") == (message["type"], message["role"])
    assert MESSAGE_ID.fullmatch(message["id"]), message["id"]
    check_usage(message["usage"])
    tools = [block for block in message["content"] if block["type"] == "tool_use"]
    ids = [tool["id"] for tool in tools]
    assert len(ids) == len(set(ids) - set(history_ids))
    check_ending(message, has_tools=bool(tools))
    for block in message["content"]:
        assert block["type"] in DELTAS, block
        assert block["type"] != "text" or block["text"].strip()
        assert block["type"] != "thinking" or block["signature"]
        assert block["type"] != "tool_use" or isinstance(block["input"], dict)
        assert block["type"] != "tool_use" or TOOL_ID.fullmatch(block["id"])


def aggregate(events: list[Event]) -> Event:
    """The message that a client puts together from a whole stream."""
    message: Event = {}
    pieces = ""
    for event in events:
        match event["type"]:
            case "message_start":
                message = json.loads(json.dumps(event["message"]))
            case "content_block_start":
                message["content"].append(dict(event["content_block"]))
                pieces = ""
            case "content_block_delta":
                block, delta = message["content"][-1], event["delta"]
                field = DELTAS[block["type"]][delta["type"]]
                if field == "partial_json":
                    pieces += delta[field]
                else:
                    block[field] += delta[field]
            case "content_block_stop":
                if message["content"][-1]["type"] == "tool_use" and pieces:
                    message["content"][-1]["input"] = _arguments(pieces)
            case "message_delta":
                message |= event["delta"]
                message["usage"] = message["usage"] | event["usage"]
            case _:
                pass
    return message


def _arguments(text: str) -> Any:
    """What the CLI makes of them."""
    try:
        return json.loads(text)
    except ValueError:
        size = len(text.encode())
        return {"__unparsedToolInput": {"raw": text, "len": size}}
