"""What becomes of reasoning: shown, signed without its text, or kept for the next turn only.

Source: translation spec, sections 1.9 (display, reasoning store) and 2.3.
"""

from __future__ import annotations

from enum import Enum

from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.spi import Call
from llmproxyd.wire.signature import Signer

# Longer reasoning is signed, but not kept for the next turn.
_KEPT_MAX_CHARS = 1 << 22


class Style(Enum):
    """How the client gets it."""

    SHOWN = "thinking blocks"
    OMITTED = "thinking blocks without their text"
    DROPPED = "not at all"


class Thoughts:
    """The reasoning of one answer, block by block."""

    __slots__ = ("_chars", "_keeps", "_kept", "_signer", "_store", "style")

    def __init__(self, call: Call, encoded: Encoded) -> None:
        quirks = call.target.quirks
        self.style = _style(encoded, always=quirks.emit_thinking == "always")
        self._store = call.reasoning
        # Shown thinking comes back with the next request; other thinking has to be kept here.
        self._keeps = self.style is Style.OMITTED or (
            self.style is Style.DROPPED and quirks.reasoning_in != "drop"
        )
        self._signer = Signer()
        self._kept: list[str] = []
        self._chars = 0

    def add(self, text: str) -> None:
        """Take a piece of the current block."""
        if self.style is not Style.DROPPED:
            self._signer.update(text)
        if self._keeps:
            self._kept.append(text)
            self._chars += len(text)
            if self._chars > _KEPT_MAX_CHARS:
                self._keeps = False
                self._kept.clear()

    def sign(self) -> str:
        """End the current block: its signature."""
        signature = self._signer.signature()
        self._signer = Signer()
        self._store_under(signature)
        self._kept.clear()
        return signature

    def remember_for(self, tool_id: str) -> None:
        """A tool call follows: what the client is not shown, its id will bring back."""
        if self.style is Style.DROPPED:
            self._store_under(tool_id)

    def _store_under(self, key: str) -> None:
        if self._store is not None and self._kept:
            self._store.put(key, "".join(self._kept))


def _style(encoded: Encoded, *, always: bool) -> Style:
    if encoded.omits_thinking:
        return Style.OMITTED
    return Style.SHOWN if encoded.wants_thinking or always else Style.DROPPED
