"""Where reasoning hides in an answer: in one of several fields, or in `<think>` tags in the text.

Source: translation spec, section 2.3.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from llmproxyd.dialects.openai_chat.chunks import Delta

_OPEN = "<think>"
_CLOSE = "</think>"
# The opening tag is looked for behind this many blanks at most.
_BLANKS_MAX = 1000


def reasoning_of(delta: Delta) -> str:
    """The reasoning in one chunk. Servers that fill two fields send the same text twice, so the
    first field that is not empty wins."""
    return (
        (delta.reasoning_content and _words(delta.reasoning_content))
        or (delta.reasoning and _words(delta.reasoning))
        or (delta.thinking_blocks and _words(delta.thinking_blocks))
        or (delta.reasoning_details and _words(delta.reasoning_details))
        or ""
    )


def _words(value: Any) -> str:
    """A string, an object that holds one under a known name, or a list of these."""
    match value:
        case str():
            return value
        case list():
            return "".join(map(_words, value))
        case (
            {"content": str(text)}
            | {"thinking": str(text)}
            | {"text": str(text)}
            | {"summary": str(text)}
        ):
            return text
        case _:
            return ""


class _State(Enum):
    START = "the text has not begun"
    THINKING = "inside the tags"
    UNOPENED = "text or thinking: only a closing tag can tell"
    PLAIN = "text, to the end"


class ThinkSplitter:
    """Splits text into thinking and visible text, tags cut over pieces included.

    `auto` believes a `<think>` only where the whole text begins with it. `always_open` knows that
    the template has opened the tag: what comes before `</think>` is thinking, and if that never
    comes, everything is text.
    """

    __slots__ = ("_held", "_state", "_when_unopened")

    def __init__(self, mode: Literal["auto", "always_open", "off"]) -> None:
        self._state = _State.PLAIN if mode == "off" else _State.START
        self._when_unopened = _State.UNOPENED if mode == "always_open" else _State.PLAIN
        self._held: list[str] = []

    @property
    def is_plain(self) -> bool:
        """All that follows is text."""
        return self._state is _State.PLAIN

    def feed(self, text: str) -> tuple[str, str]:
        """Thinking and visible text, in this order, that `text` completes."""
        match self._state:
            case _State.START:
                return self._begin("".join(self._held) + text)
            case _State.THINKING:
                return self._think("".join(self._held) + text)
            case _State.UNOPENED:
                return self._wait(text)
            case _:
                return "", text

    def flush(self) -> tuple[str, str]:
        """What is held back, because something other than text comes next or nothing does."""
        held = "".join(self._held)
        self._held = []
        if self._state is _State.THINKING:
            return held, ""
        if held and not held.isspace():
            self._state = _State.PLAIN
        return "", held

    def trust_field(self) -> tuple[str, str]:
        """Reasoning came in a field of its own: no tag is open. Returns as `flush`."""
        flushed = self.flush()
        if self._when_unopened is _State.UNOPENED and self._state is not _State.THINKING:
            self._state = _State.PLAIN
        return flushed

    def _begin(self, text: str) -> tuple[str, str]:
        stripped = text.lstrip()
        if stripped.startswith(_OPEN):
            self._state = _State.THINKING
            return self._think(stripped[len(_OPEN) :])
        if _OPEN.startswith(stripped) and len(text) <= _BLANKS_MAX:
            self._held = [text]
            return "", ""
        self._state = self._when_unopened
        self._held = []
        return self.feed(text)

    def _think(self, text: str) -> tuple[str, str]:
        thinking, tag, rest = text.partition(_CLOSE)
        if tag:
            self._state = _State.PLAIN
            self._held = []
            return thinking, rest
        keep = _partial_tag(text)
        self._held = [text[len(text) - keep :]] if keep else []
        return text[: len(text) - keep], ""

    def _wait(self, text: str) -> tuple[str, str]:
        """Keep everything until the closing tag. The last item held is a possible part of it."""
        tail = self._held.pop() if self._held else ""
        text = tail + text
        before, tag, rest = text.partition(_CLOSE)
        if tag:
            thinking = "".join([*self._held, before])
            self._state = _State.PLAIN
            self._held = []
            return thinking, rest
        keep = len(_CLOSE) - 1
        self._held += [text[:-keep], text[-keep:]]
        return "", ""


def _partial_tag(text: str) -> int:
    """How many of the last characters may begin a closing tag."""
    start = text.rfind("<", max(0, len(text) - len(_CLOSE) + 1))
    return len(text) - start if start != -1 and _CLOSE.startswith(text[start:]) else 0
