"""Small readings of what a client has sent, and the notes on what became of it."""

from __future__ import annotations

from typing import Any, Final, Literal

_NOTED_MAX_CHARS: Final = 40

Block = dict[str, Any]
"""A content block of Messages."""

Turn = tuple[Literal["user", "assistant"], list[Block]]
"""The blocks of consecutive messages of one role."""


class Notes:
    """What was dropped or repaired in one request, for the log."""

    __slots__ = ("_words",)

    def __init__(self) -> None:
        self._words: set[str] = set()

    @property
    def words(self) -> tuple[str, ...]:
        """Each note once, sorted."""
        return tuple(sorted(self._words))

    def add(self, event: str, subject: str = "") -> None:
        """Remember `event`; `subject` is a name that the client chose.

        A subject that is no plain name is not repeated: notes go to the log, content does not.
        """
        if subject:
            is_name = subject.isidentifier() and len(subject) <= _NOTED_MAX_CHARS
            event = f"{event}:{subject if is_name else 'unnamed'}"
        self._words.add(event)


def text_of(value: Any) -> str:
    """`value` if it is text, else ""."""
    return value if isinstance(value, str) else ""


def is_blank(text: str) -> bool:
    """True for empty and whitespace-only text."""
    return not text or text.isspace()


def object_of(value: Any) -> dict[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
