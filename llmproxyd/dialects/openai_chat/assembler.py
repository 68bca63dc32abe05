"""Pieces of a Chat Completions answer, in the order they come, to content blocks in legal order.

Upstreams interleave what Anthropic's stream keeps apart: parallel tool calls in turns, text in
the middle of a call. One block is open at a time, so whatever comes while a tool call is not
complete waits behind it in a queue, in order of arrival (translation spec, sections 3.4 to 3.6):

    queue empty                 text and thinking are written at once
    queue = [call, …]           the call at the head is forwarded live; the rest waits
    head complete, others wait  the head is closed, the next one takes its place
    the answer has ended        everything left is written, whole or not
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from llmproxyd.dialects.openai_chat.chunks import Choice, Delta, Function, ToolDelta, text_of
from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.finish import conclude, is_cut_short
from llmproxyd.dialects.openai_chat.reasoning import ThinkSplitter, reasoning_of
from llmproxyd.dialects.openai_chat.tool_calls import ToolIds, ToolNames, ToolSlot, ToolSlots
from llmproxyd.dialects.openai_chat.usage import OutputCounter
from llmproxyd.dialects.openai_chat.writer import BlockWriter
from llmproxyd.errors import BrokeProtocol
from llmproxyd.spi import Call
from llmproxyd.wire.usage import Usage

# What may wait in queues and buffers in one answer, in characters; an item of a queue counts as
# about the memory that it takes.
_HELD_MAX_CHARS = 1 << 24
_SLOT_CHARS = 1 << 10
_WAITING_CHARS = 1 << 7


class _Waiting:
    """Text or thinking that waits behind a tool call."""

    __slots__ = ("is_thinking", "pieces")

    def __init__(self, *, is_thinking: bool) -> None:
        self.is_thinking = is_thinking
        self.pieces: list[str] = []


class Assembler:
    """Assembles one answer. Raises BrokeProtocol when it can not be a message.

    Attributes:
        writer: where the blocks go.
        counter: counts the output as it passes.
        reason: `finish_reason`, once the upstream has given one; else "".
        notes: what was odd, for the log.
    """

    def __init__(self, call: Call, encoded: Encoded, *, is_whole: bool) -> None:
        """`is_whole`: all calls come complete, in one message."""
        quirks = call.target.quirks
        self.writer = BlockWriter(call, encoded)
        self.counter = OutputCounter()
        self.reason = ""
        self.notes: list[str] = []
        self._repairs = quirks.repair_args
        self._stop_sequences = encoded.stop_sequences
        self._splitter = ThinkSplitter(quirks.think_tags)
        self._slots = ToolSlots(is_live=not is_whole and not quirks.repair_args)
        self._names = ToolNames(encoded)
        self._ids = ToolIds(encoded.history_ids, call.entropy)
        self._queue: deque[ToolSlot | _Waiting] = deque()
        self._held_chars = 0
        self._has_output = False
        self._has_nameless = False
        self._is_refusal = False
        self._upstream_stop: str | None = None

    def take(self, choice: Choice) -> None:
        """Take one chunk's choice: reasoning, then text, refusal, calls and the finish reason."""
        delta = choice.delta
        if delta is not None:
            self._take_delta(delta, is_message=False)
        elif choice.message is not None:
            self._take_delta(choice.message, is_message=True)
        reason = choice.finish_reason
        if reason and not self.reason and isinstance(reason, str):
            self.reason = reason
        if choice.stop_reason is not None and choice.stop_reason in self._stop_sequences:
            self._upstream_stop = choice.stop_reason

    def end(self, usage: Usage) -> None:
        """Write what is left and the end of the message: the upstream has finished.

        Raises:
            BrokeProtocol: nothing came that makes an answer.
        """
        writer = self.writer
        if writer.matched_stop is None:
            self._write_rest()
        if not writer.has_blocks:
            if self._has_nameless:
                raise BrokeProtocol("upstream returned a tool call without a name")
            if not self.reason and not self._has_output:
                raise BrokeProtocol("upstream ended its answer before it began")
        writer.close()
        ending = conclude(
            self.reason,
            has_tool_use=writer.has_tool_use,
            is_refusal=self._is_refusal,
            stop_sequence=writer.matched_stop or self._upstream_stop,
        )
        self.notes += ending.notes
        writer.finish(ending, usage)

    def _take_delta(self, delta: Delta, *, is_message: bool) -> None:
        if reasoning := reasoning_of(delta):
            self._reasoning(reasoning)
        if delta.content and (text := text_of(delta.content)):
            self._content(text)
        if delta.refusal and isinstance(delta.refusal, str):
            self._is_refusal = True
            self._visible(delta.refusal)
        if delta.tool_calls:
            for position, call in enumerate(delta.tool_calls):
                self._tool(call, position if is_message else None)
        if delta.function_call is not None:
            self._legacy_call(delta.function_call)

    def _reasoning(self, text: str) -> None:
        if not self._splitter.is_plain:
            self._split(self._splitter.trust_field())
        self._thinking(text)

    def _content(self, text: str) -> None:
        if self._splitter.is_plain:
            self._visible(text)
        else:
            parts = self._splitter.feed(text)
            if parts == ("", ""):
                self._hold(len(text))
            self._split(parts)

    def _split(self, parts: tuple[str, str]) -> None:
        thinking, text = parts
        if thinking:
            self._thinking(thinking)
        if text:
            self._visible(text)

    def _visible(self, text: str) -> None:
        self._has_output = True
        self.counter.text(text)
        if self._queue:
            self._wait(text, is_thinking=False)
        elif self.writer.matched_stop is None:
            self.writer.text(text)

    def _thinking(self, text: str) -> None:
        self._has_output = True
        self.counter.text(text)
        if self._queue:
            self._wait(text, is_thinking=True)
        elif self.writer.matched_stop is None:
            self.writer.thinking(text)

    def _wait(self, text: str, *, is_thinking: bool) -> None:
        """Put text behind the tool calls that are not complete."""
        last = self._queue[-1]
        if not isinstance(last, _Waiting) or last.is_thinking is not is_thinking:
            last = _Waiting(is_thinking=is_thinking)
            self._queue.append(last)
            self._hold(_WAITING_CHARS)
        last.pieces.append(text)
        self._hold(len(text))
        self._drain()

    def _tool(self, delta: ToolDelta, position: int | None) -> None:
        self._assemble(*self._slots.take(delta, position))

    def _legacy_call(self, function: Function) -> None:
        self._assemble(*self._slots.take_legacy(function))

    def _assemble(self, slot: ToolSlot, is_new: bool, arguments: str) -> None:  # noqa: FBT001
        self._has_output = True
        self.counter.tool_input(arguments)
        if is_new:
            self._split(self._splitter.flush())
            self._queue.append(slot)
            self._hold(_SLOT_CHARS)
        self._drain()
        if slot.is_holding:
            self._hold(len(arguments))

    def _drain(self) -> None:
        """Forward the head of the queue; while it is complete and others wait, the next one."""
        while self._queue and self.writer.matched_stop is None:
            head = self._queue[0]
            if isinstance(head, _Waiting):
                self._write(head)
            else:
                self._forward(head)
                if len(self._queue) == 1 or not head.is_open or not head.arguments.is_certain:
                    return
                self._close(head)
            self._queue.popleft()

    def _forward(self, slot: ToolSlot) -> None:
        """Open the block of the head as soon as its name is whole; forward what has come."""
        if not slot.is_open and (slot.is_ready or (slot.name and self._has_next_slot())):
            self._open(slot)
        if slot.is_open and (piece := slot.take()):
            self.writer.tool_input(piece)

    def _has_next_slot(self) -> bool:
        """Another call has begun, so the name of the head is whole."""
        return any(isinstance(item, ToolSlot) for item in islice(self._queue, 1, None))

    def _open(self, slot: ToolSlot) -> None:
        slot.is_open = True
        name = self._names.client_name(slot.name)
        self.writer.open_tool(self._ids.claim(slot.id), name)

    def _close(self, slot: ToolSlot) -> None:
        if rest := slot.arguments.finish(repair=self._repairs and not is_cut_short(self.reason)):
            self.writer.tool_input(rest)
        if slot.arguments.has_junk:
            self.notes.append("dropped:text_after_tool_arguments")
        self.writer.close_tool()

    def _write(self, waiting: _Waiting) -> None:
        text = "".join(waiting.pieces)
        if waiting.is_thinking:
            self.writer.thinking(text)
        else:
            self.writer.text(text)

    def _write_rest(self) -> None:
        """Everything that was held back, in order: no more will come."""
        self._split(self._splitter.flush())
        for item in self._queue:
            if self.writer.matched_stop is not None:
                break
            if isinstance(item, _Waiting):
                self._write(item)
            else:
                self._finish_slot(item)
        self._queue.clear()

    def _finish_slot(self, slot: ToolSlot) -> None:
        if not slot.name:
            self._has_nameless = True
            self.notes.append("dropped:nameless_tool_call")
            return
        if not slot.is_open:
            if not slot.arguments.has_begun and is_cut_short(self.reason):
                # Cut off before its arguments: as a block it would run without any.
                self.notes.append("dropped:cut_tool_call")
                return
            self._open(slot)
        if piece := slot.take():
            self.writer.tool_input(piece)
        self._close(slot)

    def _hold(self, chars: int) -> None:
        self._held_chars += chars
        if self._held_chars > _HELD_MAX_CHARS:
            raise BrokeProtocol("upstream sent too much text out of order")
