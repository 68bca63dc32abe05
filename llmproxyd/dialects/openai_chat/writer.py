"""Text, thinking and tool input to content blocks, one after another.

Knows what a block needs: leading newlines and blank text go, thinking is signed, stop sequences
of the proxy's own are cut out (translation spec, sections 2.2, 2.3 and 3.4).
"""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.finish import Ending
from llmproxyd.dialects.openai_chat.stops import StopMatcher
from llmproxyd.dialects.openai_chat.thoughts import Style, Thoughts
from llmproxyd.spi import Call
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.stream import MessageStream, State
from llmproxyd.wire.usage import Usage


class BlockWriter:
    """Writes the blocks of one answer; `take_frames` hands over what was written.

    Attributes:
        has_text, has_tool_use: such a block has been started.
    """

    __slots__ = (
        "_blanks",
        "_frames",
        "_matcher",
        "_stream",
        "_thinking_blanks",
        "_thoughts",
        "has_text",
        "has_tool_use",
    )

    def __init__(self, call: Call, encoded: Encoded) -> None:
        self._stream = MessageStream()
        self._frames: list[Frame] = []
        self._thoughts = Thoughts(call, encoded)
        self._matcher = StopMatcher(encoded.proxy_stops) if encoded.proxy_stops else None
        # Blank text is held back until it is known to belong to a block.
        self._blanks: list[str] = []
        self._thinking_blanks: list[str] = []
        self.has_text = False
        self.has_tool_use = False

    @property
    def is_started(self) -> bool:
        """`message_start` is written."""
        return self._stream.is_started

    @property
    def has_blocks(self) -> bool:
        """Any block has been started."""
        return self._stream.blocks > 0

    @property
    def matched_stop(self) -> str | None:
        """The stop sequence that ended the text; nothing may be written after it."""
        return None if self._matcher is None else self._matcher.matched

    def take_frames(self) -> list[Frame]:
        """The frames since the last time."""
        frames, self._frames = self._frames, []
        return frames

    def start(self, message_id: str, model: str, usage: Usage) -> None:
        """Write `message_start`."""
        self._frames.append(self._stream.start(message_id, model, usage))

    def text(self, text: str) -> None:
        """Write a non-empty piece of visible text; nothing once a stop sequence has matched."""
        if self._matcher is not None:
            text = self._matcher.feed(text)
            if not text:
                return
        self._text(text)

    def thinking(self, text: str) -> None:
        """Write a non-empty piece of thinking, as far as the client wants it.

        Nothing once a stop sequence has matched.
        """
        if self.matched_stop is not None:
            return
        thoughts = self._thoughts
        if thoughts.style is Style.DROPPED:
            thoughts.add(text)
            return
        if self._stream.state is not State.IN_THINKING:
            if text.isspace():
                self._thinking_blanks.append(text)
                return
            text = _joined(self._thinking_blanks, text)
            self.close()
            self._frames.append(self._stream.start_thinking())
        thoughts.add(text)
        if thoughts.style is Style.SHOWN:
            self._frames.append(self._stream.thinking(text))

    def open_tool(self, tool_id: str, name: str) -> None:
        """Open a tool_use block."""
        self.close()
        self._blanks.clear()
        self._thoughts.remember_for(tool_id)
        self._frames.append(self._stream.start_tool_use(tool_id, name))
        self.has_tool_use = True

    def tool_input(self, partial_json: str) -> None:
        """Write a non-empty piece of the open tool's input."""
        self._frames.append(self._stream.tool_input(partial_json))

    def close_tool(self) -> None:
        """Close the open tool_use block; the client may execute it from now on."""
        self._frames.append(self._stream.stop_block())

    def close(self) -> None:
        """Close whatever block is open; no stop sequence reaches over its end."""
        if self._matcher is not None and (rest := self._matcher.flush()):
            self._text(rest)
        self._close_block()

    def finish(self, ending: Ending, usage: Usage) -> None:
        """Write the end of the message."""
        self._frames += self._stream.finish(
            ending.stop_reason,
            usage,
            stop_sequence=ending.stop_sequence,
            stop_details=ending.stop_details,
        )

    def _text(self, text: str) -> None:
        stream = self._stream
        if stream.state is State.IN_TEXT:
            self._frames.append(stream.text(text))
            return
        if text.isspace():
            self._blanks.append(text)
            return
        text = _joined(self._blanks, text)
        if not self.has_text:
            text = text.lstrip("\r\n")
        self._close_block()
        self._frames += (stream.start_text(), stream.text(text))
        self.has_text = True

    def _close_block(self) -> None:
        stream = self._stream
        if stream.state is State.IN_THINKING:
            self._frames.append(stream.signature(self._thoughts.sign()))
        if stream.is_open:
            self._frames.append(stream.stop_block())


def _joined(held: list[str], text: str) -> str:
    """`text` behind what was held back, which is used up."""
    if held:
        text = "".join((*held, text))
        held.clear()
    return text
