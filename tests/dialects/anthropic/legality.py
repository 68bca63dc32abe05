"""Is a list of frames an answer that every client can read? (translation spec, section 0)"""

from __future__ import annotations

import json
import re
from typing import Any

from llmproxyd.wire.frames import Frame
from llmproxyd.wire.sse import parse_event

_DELTAS_OF = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
}


_OWN_EVENTS = {
    "content_block_delta",
    "content_block_start",
    "content_block_stop",
    "error",
    "message_delta",
    "message_start",
    "message_stop",
}


def assert_legal(frames: list[Frame], *, is_complete: bool = True) -> None:
    """Fail unless `frames` are a legal stream, or the beginning of one."""
    state = "idle"
    block: dict[str, Any] = {}
    blocks: list[dict[str, Any]] = []
    for frame in frames:
        payload = _payload(frame)
        match (state, frame.event):
            case (_, "ping") if state != "done":
                continue
            case ("idle", "message_start"):
                assert re.fullmatch(r"msg_[A-Za-z0-9]{20,}", payload["message"]["id"])
                assert payload["message"]["role"] == "assistant"
                _assert_usage(payload["message"]["usage"])
                state = "between"
            case ("between", "content_block_start"):
                assert payload["index"] == len(blocks)
                block = {**payload["content_block"], "said": ""}
                blocks.append(block)
                state = "open"
            case ("open", "content_block_delta"):
                assert payload["index"] == len(blocks) - 1
                _take(block, payload["delta"])
            case ("open", "content_block_stop"):
                assert payload["index"] == len(blocks) - 1
                _assert_full(block)
                state = "between"
            case ("between", "message_delta"):
                _assert_usage(payload["usage"])
                _assert_reason(payload["delta"]["stop_reason"], blocks)
                state = "ending"
            case ("ending", "message_stop"):
                state = "done"
            case _:
                assert frame.event not in _OWN_EVENTS, f"{frame.event} while {state}"
                assert state not in ("idle", "done")
    ids = [block["id"] for block in blocks if block["type"] == "tool_use"]
    assert sorted(set(ids)) == sorted(ids)
    if is_complete:
        assert state == "done"


def _payload(frame: Frame) -> dict[str, Any]:
    framed = parse_event(frame.wire)
    assert (framed.event, framed.data) == (frame.event, frame.data)
    assert frame.wire.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
    payload: dict[str, Any] = json.loads(frame.data)
    assert payload["type"] == frame.event
    return payload


def _take(block: dict[str, Any], delta: dict[str, Any]) -> None:
    allowed = _DELTAS_OF.get(block["type"])
    assert allowed is None or delta["type"] in allowed
    said = [delta.get(key) for key in ("text", "thinking", "signature", "partial_json")]
    assert any(said) or delta["type"] in ("citations_delta", "input_json_delta")
    block["said"] += delta.get("text") or delta.get("thinking") or ""
    block["signature"] = delta.get("signature") or block.get("signature")


def _assert_full(block: dict[str, Any]) -> None:
    if block["type"] == "text":
        assert block["said"].strip()
    if block["type"] == "thinking":
        assert block["signature"]
    if block["type"] == "tool_use":
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"])
        assert block["name"]
        assert block["input"] == {}


def _assert_usage(usage: dict[str, Any]) -> None:
    """What the SDKs read of every usage; the other counts are optional to them."""
    assert type(usage["output_tokens"]) is int
    for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"):
        assert type(usage.get(name, 0)) is int


def _assert_reason(reason: str, blocks: list[dict[str, Any]]) -> None:
    has_tool = any(block["type"] == "tool_use" for block in blocks)
    if reason == "tool_use":
        assert has_tool
    if has_tool:
        assert reason in ("tool_use", "max_tokens", "refusal", "pause_turn", "compaction") or (
            reason == "model_context_window_exceeded"
        )
    assert reason in (
        "compaction",
        "end_turn",
        "max_tokens",
        "model_context_window_exceeded",
        "pause_turn",
        "refusal",
        "stop_sequence",
        "tool_use",
    )
