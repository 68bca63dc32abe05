"""The choices of a Chat Completions answer, chunk by chunk, to the content of a message.

Says what each part of a chunk is: thinking, visible text or a tool call, wherever the upstream
hides it, and why the answer ended (translation spec, sections 2.2 to 2.5 and 3.4). In which order
the blocks go out is `sequence`'s job.
"""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.chunks import Choice, Delta, text_of
from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.finish import conclude
from llmproxyd.dialects.openai_chat.reasoning import ThinkSplitter, reasoning_of
from llmproxyd.dialects.openai_chat.salvage import MarkupReader, TextCall
from llmproxyd.dialects.openai_chat.sequence import Sequencer
from llmproxyd.dialects.openai_chat.tool_calls import ToolNames, ToolSlot, ToolSlots
from llmproxyd.dialects.openai_chat.usage import OutputCounter
from llmproxyd.dialects.openai_chat.writer import BlockWriter
from llmproxyd.errors import BrokeProtocol
from llmproxyd.spi import Call
from llmproxyd.wire.usage import Usage

# The server runs without a tool parser; `salvage` names the flags that it wants.
_MARKUP_NOTE = "tool_markup_in_text"


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
        self._sequence = Sequencer(call, encoded, self.writer)
        self.notes = self._sequence.notes
        self._stop_sequences = encoded.stop_sequences
        self._splitter = ThinkSplitter(quirks.think_tags)
        self._markup = _markup_reader(encoded, salvages=quirks.salvage_text_tools)
        self._slots = ToolSlots(is_live=not is_whole and not quirks.repair_args)
        self._has_output = False
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
        self._release_text()
        self._sequence.finish(self.reason)
        if not writer.has_blocks:
            if self._sequence.has_nameless:
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
        content = delta.content
        if content and (text := content if isinstance(content, str) else text_of(content)):
            self._content(text)
        if delta.refusal and isinstance(delta.refusal, str):
            self._is_refusal = True
            self._visible(delta.refusal)
        if delta.tool_calls:
            for position, call in enumerate(delta.tool_calls):
                self._call(*self._slots.take(call, position if is_message else None))
        if delta.function_call is not None:
            self._call(*self._slots.take_legacy(delta.function_call))

    def _reasoning(self, text: str) -> None:
        """Reasoning from a field of its own."""
        if not self._splitter.is_plain:
            self._split(self._splitter.trust_field())
        self._thinking(text)

    def _content(self, text: str) -> None:
        if self._splitter.is_plain:
            self._visible(text)
            return
        parts = self._splitter.feed(text)
        if parts == ("", ""):
            self._sequence.hold(len(text))
        self._split(parts)

    def _split(self, parts: tuple[str, str]) -> None:
        thinking, text = parts
        if thinking:
            self._thinking(thinking)
        if text:
            self._visible(text)

    def _thinking(self, text: str) -> None:
        self._has_output = True
        self.counter.text(text)
        self._release_markup()
        self._sequence.thinking(text)

    def _visible(self, text: str) -> None:
        self._has_output = True
        self.counter.text(text)
        markup = self._markup
        if markup is None or (markup.is_idle and "<" not in text):
            self._sequence.text(text)
            return
        for item in markup.feed(text):
            if isinstance(item, TextCall):
                self._salvage(item)
            else:
                self._sequence.text(item)
        if markup.has_found and _MARKUP_NOTE not in self.notes:
            self.notes.append(_MARKUP_NOTE)

    def _salvage(self, call: TextCall) -> None:
        slot = ToolSlot(is_live=False)
        slot.add("", call.name, call.arguments)
        self._sequence.begin_call(slot)

    def _call(self, slot: ToolSlot, is_new: bool, arguments: str) -> None:  # noqa: FBT001
        self._has_output = True
        self.counter.tool_input(arguments)
        if is_new:
            self._release_text()
            self._sequence.begin_call(slot)
        self._sequence.continue_call(slot, len(arguments))

    def _release_text(self) -> None:
        """Something else than text comes, or nothing: no tag and no markup goes on."""
        if not self._splitter.is_plain:
            self._split(self._splitter.flush())
        self._release_markup()

    def _release_markup(self) -> None:
        if self._markup is not None and (text := self._markup.flush()):
            self._sequence.text(text)


def _markup_reader(encoded: Encoded, *, salvages: bool) -> MarkupReader | None:
    """None when the request has no tools, so that text can not hold a call of one."""
    if not encoded.tool_names:
        return None
    return MarkupReader(ToolNames(encoded).is_known, salvages=salvages)
