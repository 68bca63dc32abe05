"""Content blocks of an imitated stream, put in legal order (translation spec, section 0).

Clients need blocks one after another, with indices 0, 1, 2 …, none of them empty, each thinking
block signed and each tool id new. Theory of operation: blocks stand in a queue in the order of
their first event. Only the head of the queue is open toward the client; it is sent as it grows.
The others collect. The head leaves when the backend has stopped it, or as soon as a later block
has something to say and the head may be closed without loss: text and thinking always, a tool
call once its input is a whole JSON object. Closing it earlier would run half a call.

Events are passed on as the backend made them, with only the wrong parts changed, so fields that
are unknown here survive.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from itertools import islice

import msgspec

from llmproxyd.dialects.anthropic.source import Event, frame_of, source_of
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.signature import sign

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

_TOOLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_KNOWN = _TOOLS | {
    "advisor_tool_result",
    "bash_code_execution_tool_result",
    "code_execution_tool_result",
    "compaction",
    "container_upload",
    "fallback",
    "mcp_tool_listing",
    "mcp_tool_result",
    "redacted_thinking",
    "text",
    "text_editor_code_execution_tool_result",
    "thinking",
    "tool_search_tool_result",
    "web_fetch_tool_result",
    "web_search_tool_result",
}

# Kind of delta to the field that holds its words, and to the block it belongs in. Some servers
# send thinking deltas inside a text block.
_WORDS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_HOMES = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking"}
_EMPTY_HEADS = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
_STOP = {"type": "content_block_stop"}

_TOOL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOOL_ID_CHARS = 24


class _Block:
    """One block on its way to the client.

    Attributes:
        kind: its type.
        start: its `content_block_start`, with an empty `content_block`.
        stop: its `content_block_stop`; None until the backend has sent it.
        waiting: deltas that the client has not got yet.
        words: text of its deltas so far; of a tool, its input as JSON text.
        signature: of thinking; `signed_by` is the event it came in, if it was one.
        given_input: a tool's input that came with its start.
        index: toward the client; -1 until its start is sent.
        is_closed: the client has its stop.
    """

    __slots__ = (
        "given_input",
        "index",
        "is_closed",
        "kind",
        "signature",
        "signed_by",
        "start",
        "stop",
        "waiting",
        "words",
    )

    def __init__(self, start: Event) -> None:
        self.kind: str = start["content_block"]["type"]
        self.start = start
        self.stop: Event | None = None
        self.waiting: list[Event] = []
        self.words: list[str] = []
        self.signature = ""
        self.signed_by: Event = {}
        self.given_input = ""
        self.index = -1
        self.is_closed = False

    @property
    def has_substance(self) -> bool:
        """It may be shown: text and thinking only once they say something."""
        if self.index >= 0 or self.kind not in _EMPTY_HEADS:
            return True
        return bool(self.signature) or any(words.strip() for words in self.words)

    @property
    def is_whole(self) -> bool:
        """It can be closed without losing anything that was begun."""
        if self.kind not in _TOOLS:
            return True
        if self.words and not self.words[-1].rstrip().endswith("}"):
            return False  # nearly always; spares decoding a long input for each of its pieces
        try:
            return isinstance(_decode("".join(self.words) or self.given_input), dict)
        except (ValueError, RecursionError):
            return False

    def takes(self, delta_type: str) -> bool:
        """A delta of this type belongs here. Types that are unknown belong anywhere."""
        if self.is_closed:
            return False
        if delta_type == "input_json_delta":
            return self.kind in _TOOLS
        return _HOMES.get(delta_type, self.kind) == self.kind


class BlockQueue:
    """Takes block events as they come, returns those that the client may have now.

    Attributes:
        has_tool: a `tool_use` block was sent.
        has_nameless_tool: a tool call without a name was left out.
        pieces: words of all blocks, for an estimate of their tokens.
    """

    def __init__(self, history_ids: Callable[[], set[str]], entropy: Callable[[int], str]) -> None:
        """Start empty.

        Args:
            history_ids: the tool_use ids of the conversation so far; called once if ever.
            entropy: n random characters for a tool id.
        """
        self._history_ids = history_ids
        self._entropy = entropy
        self._tool_ids: set[str] | None = None
        self._queue: deque[_Block] = deque()
        self._by_upstream_index: dict[int | str | None, _Block] = {}
        self._sent = 0
        self.has_tool = False
        self.has_nameless_tool = False
        self.pieces: list[str] = []

    @property
    def is_empty(self) -> bool:
        """No block was sent, and none could be."""
        return not self._sent and not any(block.has_substance for block in self._queue)

    def apply(self, event: Event) -> list[Frame]:
        """What the client may have after `event`, one of the three about blocks."""
        match event["type"]:
            case "content_block_start":
                self._start(event)
            case "content_block_delta":
                self._delta(event)
            case _:
                self._stop(event)
        return self._pump()

    def _start(self, event: Event) -> None:
        head = event.get("content_block")
        index = _upstream_index(event)
        self._by_upstream_index.pop(index, None)
        if not isinstance(head, dict) or _words(head, "type") not in _KNOWN:
            return
        if head["type"] == "tool_use" and not _words(head, "name"):
            self.has_nameless_tool = True
            return
        self._unpack(self._open(index, {**event, "content_block": dict(head)}))

    def _delta(self, event: Event) -> None:
        delta = event.get("delta")
        if not isinstance(delta, dict) or not _words(delta, "type"):
            return
        block = self._block_for(_upstream_index(event), delta)
        if block is not None:
            self._take(block, event, delta)

    def _stop(self, event: Event) -> None:
        block = self._by_upstream_index.get(_upstream_index(event))
        if block is not None and not block.is_closed:
            block.stop = event

    def finish(self) -> list[Frame]:
        """The message is complete: close what the backend left open."""
        for block in self._queue:
            block.stop = block.stop or _STOP
        return self._pump()

    @property
    def has_broken_tool(self) -> bool:
        """A tool call was begun that the backend neither stopped nor completed."""
        return any(
            block.stop is None and block.words and not block.is_whole for block in self._queue
        )

    def _open(self, upstream_index: int | str | None, start: Event) -> _Block:
        block = _Block(start)
        self._queue.append(block)
        self._by_upstream_index[upstream_index] = block
        return block

    def _unpack(self, block: _Block) -> None:
        """Move what a start event holds into deltas, where alone clients look for it."""
        head = block.start["content_block"]
        if block.kind in _EMPTY_HEADS:
            for kind, home in _HOMES.items():
                if home == block.kind:
                    delta = {"type": kind, _WORDS[kind]: _words(head, _WORDS[kind])}
                    self._take(block, {"type": "content_block_delta", "delta": delta}, delta)
            head.update(_EMPTY_HEADS[block.kind])
        elif block.kind in _TOOLS:
            given = head.get("input")
            block.given_input = given if isinstance(given, str) else ""
            if isinstance(given, dict) and given:
                block.given_input = _encode(given).decode()
            head["input"] = {}
        if block.kind == "tool_use":
            head["id"] = self._new_tool_id(_words(head, "id"))

    def _block_for(self, upstream_index: int | str | None, delta: Event) -> _Block | None:
        """The block that takes `delta`; a fresh one for words that do not fit where they go."""
        block = self._by_upstream_index.get(upstream_index)
        if block is not None and block.takes(delta["type"]):
            return block
        home = _HOMES.get(delta["type"])
        if home is None or not _words(delta, home):
            return None
        if block is not None:
            if block.kind not in _EMPTY_HEADS:
                return None
            block.stop = block.stop or _STOP
        start = {"type": "content_block_start", "content_block": dict(_EMPTY_HEADS[home])}
        return self._open(upstream_index, start)

    def _take(self, block: _Block, event: Event, delta: Event) -> None:
        """Queue one delta, unless it is empty."""
        field = _WORDS.get(delta["type"])
        words = _words(delta, field) if field else ""
        if field and not words and block.kind not in _TOOLS:
            return
        if field == "signature":
            block.signed_by = {} if block.signature else source_of(event)
            block.signature += words
            return
        if words:
            block.words.append(words)
            self.pieces.append(words)
        block.waiting.append(event)

    def _new_tool_id(self, given: str) -> str:
        """`given`, or a minted id if it is malformed or known already."""
        if self._tool_ids is None:
            self._tool_ids = self._history_ids()
        if not _TOOL_ID.fullmatch(given) or given in self._tool_ids:
            given = f"toolu_{self._entropy(_TOOL_ID_CHARS)}"
        self._tool_ids.add(given)
        return given

    def _pump(self) -> list[Frame]:
        """Send what the head of the queue has, and let it leave if it may."""
        frames: list[Frame] = []
        while self._queue:
            block = self._queue[0]
            if block.has_substance:
                frames += self._send(block)
            if block.stop is None and not (self._is_awaited() and block.is_whole):
                break
            frames += self._close(block)
            self._queue.popleft()
        return frames

    def _is_awaited(self) -> bool:
        """A later block has something to say."""
        return any(block.has_substance for block in islice(self._queue, 1, None))

    def _send(self, block: _Block) -> list[Frame]:
        frames: list[Frame] = []
        if block.index < 0:
            block.index = self._sent
            self._sent += 1
            self.has_tool |= block.kind == "tool_use"
            frames.append(_frame(block, block.start))
        frames += [_frame(block, event) for event in block.waiting]
        block.waiting.clear()
        return frames

    def _close(self, block: _Block) -> list[Frame]:
        block.is_closed = True
        if block.index < 0:
            return []
        events: list[Event] = []
        if block.kind == "thinking":
            signature = block.signature or sign("".join(block.words))
            delta = {"type": "signature_delta", "signature": signature}
            events.append({"type": "content_block_delta", "delta": delta, **block.signed_by})
        elif block.given_input and not block.words:
            self.pieces.append(block.given_input)
            delta = {"type": "input_json_delta", "partial_json": block.given_input}
            events.append({"type": "content_block_delta", "delta": delta})
        events.append(block.stop or _STOP)
        return [_frame(block, event) for event in events]

    def hold(self, ping: Event) -> bool:
        """Keep a ping in its place behind a start that is held back; False when none is."""
        if not self._queue or self._queue[-1].index >= 0:
            return False
        self._queue[-1].waiting.append(ping)
        return True


def _frame(block: _Block, event: Event) -> Frame:
    """`event` under the index that its block has toward the client."""
    if event["type"] == "ping":
        return frame_of(event)
    index = {"index": block.index}
    return frame_of({"type": event["type"]} | index | event | index)


def _words(value: Event, field: str) -> str:
    words = value.get(field)
    return words if isinstance(words, str) else ""


def _upstream_index(event: Event) -> int | str | None:
    index = event.get("index")
    return index if isinstance(index, int | str) else None
