"""What all parts of one translation share: the flags they obey and what they find out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmproxyd.spi import Quirks

Block = dict[str, Any]
"""A content block as the client sent it."""

Part = str | dict[str, Any]
"""A piece of a user message: text, or a Chat Completions content part."""

_NOTED_MAX_CHARS = 40


class Scope:
    """Flags in, findings out, for the translation of one request.

    Attributes:
        quirks: what the target can not take, learned refusals included.
        images: remote image URLs to data URIs; None where fetching failed.
        loaded: deferred tools that a `tool_reference` names, in order of first mention.
    """

    __slots__ = ("_notes", "images", "loaded", "quirks")

    def __init__(self, quirks: Quirks, images: Mapping[str, str | None]) -> None:
        self.quirks = quirks
        self.images = images
        self.loaded: dict[str, None] = {}
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was dropped or repaired, in order, each once."""
        return tuple(self._notes)

    def note(self, event: str, subject: str = "") -> None:
        """Remember that `event` happened; `subject` is a field or type name the client chose.

        A subject that is no plain name is not repeated: notes go to the log, content does not.
        """
        if subject:
            is_name = subject.isidentifier() and len(subject) <= _NOTED_MAX_CHARS
            event = f"{event}:{subject if is_name else 'unnamed'}"
        self._notes[event] = None


def kind_of(block: Block) -> str:
    """The `type` of a block; "" when it has none."""
    kind = block.get("type")
    return kind if isinstance(kind, str) else ""


def text_of(value: Any) -> str:
    """`value` if it is text, else ""."""
    return value if isinstance(value, str) else ""


def is_blank(text: str) -> bool:
    """True for empty and whitespace-only text, without copying it."""
    return not text or text.isspace()
