"""An answer in one piece of JSON (translation spec, sections 3.3 and 8).

A genuine message goes on byte for byte. Any other is unfolded into events, repaired like a
stream, and folded again if the client did not ask for one: one way of repairing. Older Python
proxies answer every request so, also one for a stream.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxyd.dialects.anthropic.errors import broke, read_error_event
from llmproxyd.dialects.anthropic.repair import RepairedStream
from llmproxyd.dialects.anthropic.tally import Tally
from llmproxyd.errors import UpstreamError
from llmproxyd.spi import Call, ResponseHead
from llmproxyd.wire.fold import fold, parse_tool_input, unfold
from llmproxyd.wire.frames import Frame, whole_message
from llmproxyd.wire.usage import Usage

# Above any real answer; a body without end must not fill the memory.
MAX_BODY_BYTES = 64 * 1024 * 1024

_decode = msgspec.json.Decoder().decode


class WholeAnswer:
    """Decoder of one JSON answer. See `spi.ResponseDecoder`."""

    def __init__(self, call: Call, head: ResponseHead) -> None:
        self._call = call
        self._head = head
        self._body = bytearray()
        self.usage: Usage | None = None
        self.is_done = False
        self.failure: UpstreamError | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Collect; the answer is complete at the end only."""
        self._body += data
        if len(self._body) > MAX_BODY_BYTES:
            self._body.clear()
            self.failure = self.failure or broke(
                self._call, f"the backend sent an answer above {MAX_BODY_BYTES >> 20} MiB"
            )
        return []

    def end(self) -> list[Frame]:
        """The frames of the whole answer."""
        if self.failure is not None:
            return []
        try:
            return self._answer(bytes(self._body))
        except (ValueError, RecursionError):
            self.failure = broke(self._call, "the backend's answer is not valid JSON")
            return []

    def _answer(self, body: bytes) -> list[Frame]:
        answer = _decode(body)
        self.failure = self._fault(answer, body)
        if self.failure is not None:
            return []
        is_exact = not self._call.target.quirks.repair and not self._call.request.stream
        if is_exact and answer.get("type") == "message":
            tally = Tally()
            tally.add(answer.get("usage"))
            self.usage, self.is_done = tally.usage, True
            return [whole_message(body)]
        return self._repaired(answer)

    def _fault(self, answer: Any, body: bytes) -> UpstreamError | None:
        """Why this is no message."""
        if not isinstance(answer, dict):
            return broke(self._call, "the backend's answer is not a JSON object")
        if answer.get("error") or answer.get("type") == "error":
            return read_error_event(self._call, self._head, body)
        if not isinstance(answer.get("content"), list | str):
            return broke(self._call, "the backend's answer is not a message")
        return None

    def _repaired(self, answer: dict[str, Any]) -> list[Frame]:
        stream = RepairedStream(self._call, self._head)
        frames: list[Frame] = []
        for frame in unfold(_plain(answer)):
            frames += stream.apply(_decode(frame.data))
        self.usage, self.failure, self.is_done = stream.usage, stream.failure, stream.is_done
        if self.failure is not None or self._call.request.stream:
            return [] if self.failure else frames
        message = fold(frames)
        return [whole_message(bytes(self._body) if _decode(message) == answer else message)]


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    """`answer` in the shape that can be unfolded; what it lacks the repair fills in."""
    content = answer["content"]
    blocks = [content] if isinstance(content, str) else content
    usage = answer.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    output = counts.get("output_tokens")
    return {
        **answer,
        "content": [block for block in map(_block, blocks) if block is not None],
        "usage": {**counts, "output_tokens": output if isinstance(output, int) else 0},
    }


def _block(block: Any) -> dict[str, Any] | None:
    """A block as an object: bare words are text, a tool's input in JSON text is decoded."""
    if isinstance(block, str):
        return {"type": "text", "text": block}
    if not isinstance(block, dict):
        return None
    if isinstance(block.get("input"), str):
        return {**block, "input": parse_tool_input(block["input"])}
    return block
