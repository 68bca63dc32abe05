"""The golden streams, and what each is as one message."""

from __future__ import annotations

import json
from typing import Any

from llmproxyd.wire.fold import fold
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.sse import SSEDecoder
from tests.golden.replay import FOLDER

STREAMS = {
    f"{path.parent.parent.name}/{path.parent.name}": path.read_bytes()
    for path in sorted(FOLDER.glob("*/*/downstream.sse"))
}
BROKEN = {name for name, stream in STREAMS.items() if b"event: error\n" in stream}
WHOLE = sorted(STREAMS.keys() - BROKEN)


def message_of(name: str) -> dict[str, Any]:
    """The message that a whole stream folds into."""
    events = SSEDecoder().feed(STREAMS[name])
    return json.loads(fold(Frame(event.event, event.data, event.raw) for event in events))


def error_of(name: str) -> dict[str, Any]:
    """The payload of the error event that ends a broken stream."""
    return json.loads(SSEDecoder().feed(STREAMS[name])[-1].data)


def comparable(message: dict[str, Any]) -> dict[str, Any]:
    """`message` without what accumulators treat each in their own way.

    Input that was cut off: the proxy keeps its text, as the Claude CLI does; the SDKs keep what
    they could read of it. Empty fields: some write null where others write nothing.
    """
    content = [
        {**block, "input": "cut"} if is_cut(block, message) else block
        for block in message["content"]
    ]
    return without_nulls({**message, "content": content})


def is_cut(block: dict[str, Any], message: dict[str, Any]) -> bool:
    """The input of a tool call that the limit on output has cut."""
    return block["type"] == "tool_use" and message["stop_reason"] == "max_tokens"


def without_nulls(value: Any) -> Any:
    """`value` without members that are null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
