"""One block at a time: what comes while a tool call is not complete waits behind it.

Upstreams interleave what Anthropic's stream keeps apart: parallel tool calls in turns, text in
the middle of a call (translation spec, section 3.5).

    queue empty                 text and thinking are written at once
    queue = [call, …]           the call at the head is forwarded live; the rest waits
    head complete, others wait  the head is closed, the next one takes its place
    the answer has ended        everything left is written, whole or not
"""

from __future__ import annotations

from collections import deque

from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.finish import is_cut_short
from llmproxyd.dialects.openai_chat.tool_calls import ToolIds, ToolNames, ToolSlot
from llmproxyd.dialects.openai_chat.writer import BlockWriter
from llmproxyd.errors import BrokeProtocol
from llmproxyd.spi import Call

# What may wait in one answer, in characters; an item counts as about the memory that it takes.
_HELD_MAX_CHARS = 1 << 24
_SLOT_CHARS = 1 << 10
_WAITING_CHARS = 1 << 7


class _Waiting:
    """Text or thinking that waits behind a tool call."""

    __slots__ = ("is_thinking", "pieces")

    def __init__(self, *, is_thinking: bool) -> None:
        self.is_thinking = is_thinking
        self.pieces: list[str] = []


class Sequencer:
    """Writes pieces of blocks in legal order.

    Raises:
        BrokeProtocol: from any method, when more has to wait than an answer may hold.

    Attributes:
        has_nameless: a call was left out because it has no name.
        notes: what was odd, for the log.
    """

    def __init__(self, call: Call, encoded: Encoded, writer: BlockWriter) -> None:
        self._writer = writer
        self._repairs = call.target.quirks.repair_args
        self._names = ToolNames(encoded)
        self._ids = ToolIds(encoded.history_ids, call.entropy)
        self._queue: deque[ToolSlot | _Waiting] = deque()
        self._calls = 0  # how many items of the queue are calls
        self._held_chars = 0
        self.has_nameless = False
        self.notes: list[str] = []

    def text(self, text: str) -> None:
        """A non-empty piece of visible text."""
        if self._queue:
            self._wait(text, is_thinking=False)
        else:
            self._writer.text(text)

    def thinking(self, text: str) -> None:
        """A non-empty piece of thinking."""
        if self._queue:
            self._wait(text, is_thinking=True)
        else:
            self._writer.thinking(text)

    def begin_call(self, slot: ToolSlot) -> None:
        """A new call, with what has come of it."""
        self._queue.append(slot)
        self._calls += 1
        self.hold(_SLOT_CHARS)
        self._drain()

    def continue_call(self, slot: ToolSlot, chars: int) -> None:
        """`slot` has got `chars` more characters of arguments."""
        self._drain()
        if slot.is_holding:
            self.hold(chars)

    def finish(self, reason: str) -> None:
        """Write everything that waits, in order: no more will come.

        `reason`: why the answer ended; it decides what becomes of a call that was cut.
        """
        for item in self._queue:
            if self._writer.matched_stop is not None:
                break
            if isinstance(item, _Waiting):
                self._write(item)
            else:
                self._finish_call(item, is_cut=is_cut_short(reason))
        self._queue.clear()

    def hold(self, chars: int) -> None:
        """Count characters that are kept instead of written."""
        self._held_chars += chars
        if self._held_chars > _HELD_MAX_CHARS:
            raise BrokeProtocol("upstream sent too much text out of order")

    def _wait(self, text: str, *, is_thinking: bool) -> None:
        last = self._queue[-1]
        if not isinstance(last, _Waiting) or last.is_thinking is not is_thinking:
            last = _Waiting(is_thinking=is_thinking)
            self._queue.append(last)
            self.hold(_WAITING_CHARS)
        last.pieces.append(text)
        self.hold(len(text))
        self._drain()

    def _drain(self) -> None:
        """Forward the head of the queue; while it is complete and others wait, the next one."""
        while self._queue and self._writer.matched_stop is None:
            head = self._queue[0]
            if isinstance(head, _Waiting):
                self._write(head)
            else:
                self._forward(head)
                if len(self._queue) == 1 or not head.is_open or not head.arguments.is_certain:
                    return
                self._close(head, repairs=self._repairs)
                self._calls -= 1
            self._queue.popleft()

    def _forward(self, slot: ToolSlot) -> None:
        """Open the block of the head as soon as its name is whole; forward what has come.

        It is whole when arguments begin, or another call.
        """
        if not slot.is_open and (slot.is_ready or (slot.name and self._calls > 1)):
            self._open(slot)
        if slot.is_open and (piece := slot.take()):
            self._writer.tool_input(piece)

    def _finish_call(self, slot: ToolSlot, *, is_cut: bool) -> None:
        if not slot.name:
            self.has_nameless = True
            self.notes.append("dropped:nameless_tool_call")
            return
        if not slot.is_open:
            if is_cut and not slot.arguments.has_begun:
                # Cut off before its arguments: as a block it would run without any.
                self.notes.append("dropped:cut_tool_call")
                return
            self._open(slot)
        if piece := slot.take():
            self._writer.tool_input(piece)
        self._close(slot, repairs=self._repairs and not is_cut)

    def _open(self, slot: ToolSlot) -> None:
        slot.is_open = True
        name = self._names.client_name(slot.name)
        self._writer.open_tool(self._ids.claim(slot.id), name)

    def _close(self, slot: ToolSlot, *, repairs: bool) -> None:
        if rest := slot.arguments.finish(repair=repairs):
            self._writer.tool_input(rest)
        if slot.arguments.has_junk:
            self.notes.append("dropped:text_after_tool_arguments")
        self._writer.close_tool()

    def _write(self, waiting: _Waiting) -> None:
        text = "".join(waiting.pieces)
        if waiting.is_thinking:
            self._writer.thinking(text)
        else:
            self._writer.text(text)
