"""Tool calls that a server left in the text, because it runs without a tool parser.

Found, they are always worth a note: the server wants a flag (`--enable-auto-tool-choice` and
`--tool-call-parser` on vLLM, `--jinja` on llama.cpp). Made into calls they are only with
`salvage_text_tools`, if the markup is complete and names a tool of the request; whatever is not
stays text (translation spec, section 2.4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

# What begins a call, and what ends it.
_CLOSERS = {
    "<tool_call>": "</tool_call>",  # Hermes, Qwen
    "<function=": "</function>",  # Qwen3-Coder
    "<|channel|>": "<|call|>",  # gpt-oss
}
_OPENER = re.compile("|".join(map(re.escape, _CLOSERS)))
_OPENER_MAX = max(map(len, _CLOSERS))
# Longer markup is no call that somebody waits for.
_HELD_MAX_CHARS = 1 << 20

_XML_CALL = re.compile(r"\s*+<function=([^>\s]++)>(.*)</function>\s*", re.DOTALL)
_XML_PARAMETER = re.compile(r"\s*+<parameter=([^>\s]++)>\n?")
_XML_PARAMETER_END = "</parameter>"
_HARMONY_CALL = re.compile(
    r"<\|channel\|>\s*+\w*+\s*+to=functions\.([\w.-]+)[^{]*<\|message\|>\s*(\{.*\})\s*<\|call\|>",
    re.DOTALL,
)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class TextCall(msgspec.Struct, frozen=True):
    """A call found in the text: the tool's name and its arguments as JSON text."""

    name: str
    arguments: str


class MarkupReader:
    """Give it visible text as it comes; it returns text and calls, in order.

    Attributes:
        has_found: markup was seen.
    """

    __slots__ = ("_closer", "_held", "_held_chars", "_is_known", "_salvages", "_tail", "has_found")

    def __init__(self, is_known: Callable[[str], bool], *, salvages: bool) -> None:
        """`is_known` tells whether a name is one of the request's tools."""
        self._is_known = is_known
        self._salvages = salvages
        self._closer = ""  # what ends the call that has begun; "" between calls
        self._held: list[str] = []  # the call so far, up to `_tail`
        self._held_chars = 0
        self._tail = ""  # what may be the beginning of an opener or of the closer
        self.has_found = False

    @property
    def is_idle(self) -> bool:
        """Text without `<` would come back as it is."""
        return not self._closer and not self._tail

    def feed(self, text: str) -> list[str | TextCall]:
        """What `text` completes."""
        if self.has_found and not self._salvages:
            return [text]
        text = self._tail + text
        found: list[str | TextCall] = []
        at = 0
        while True:
            if self._closer:
                end = text.find(self._closer, at)
                if end == -1:
                    break
                end += len(self._closer)
                found.append(self._end_call(text[at:end]))
                at = end
            elif (match := _OPENER.search(text, at)) is not None:
                self.has_found = True
                if not self._salvages:
                    self._tail = ""
                    return [text]
                found.append(text[at : match.start()])
                self._closer = _CLOSERS[match[0]]
                at = match.start()
            else:
                break
        found.append(self._keep(text[at:]))
        return [item for item in found if item]

    def flush(self) -> str:
        """What is held back: no call any more."""
        held = "".join((*self._held, self._tail))
        self._held.clear()
        self._held_chars = 0
        self._tail = self._closer = ""
        return held

    def _end_call(self, rest: str) -> str | TextCall:
        """The call that `rest` completes, or its markup when it is none."""
        markup = "".join((*self._held, rest))
        self._tail = ""
        self.flush()
        call = _read(markup)
        return call if call is not None and self._is_known(call.name) else markup

    def _keep(self, rest: str) -> str:
        """Hold back what is not decided at the end of the text; returns the rest of it."""
        if not self._closer:
            keep = _partial_opener(rest)
            self._tail = rest[len(rest) - keep :]
            return rest[: len(rest) - keep]
        keep = len(self._closer) - 1
        self._held.append(rest[:-keep])
        self._tail = rest[-keep:]
        self._held_chars += len(rest) - len(self._tail)
        return self.flush() if self._held_chars > _HELD_MAX_CHARS else ""


def _partial_opener(text: str) -> int:
    """How many of the last characters may begin a call."""
    start = text.rfind("<", max(0, len(text) - _OPENER_MAX + 1))
    tail = text[start:] if start != -1 else ""
    return len(tail) if tail and any(opener.startswith(tail) for opener in _CLOSERS) else 0


def _read(markup: str) -> TextCall | None:
    """The call in complete markup, or None when it is none."""
    if (harmony := _HARMONY_CALL.fullmatch(markup)) is not None:
        return _call(harmony[1], _value(harmony[2]))
    body = markup.removeprefix("<tool_call>").removesuffix("</tool_call>")
    if (xml := _XML_CALL.fullmatch(body)) is not None:
        return _call(xml[1], _parameters(xml[2]))
    match _value(body):
        case {"name": str(name), "arguments": arguments}:
            return _call(name, arguments)
        case _:
            return None


def _parameters(text: str) -> dict[str, str] | None:
    """Parameters as text, since the client coerces numbers and booleans itself; None for junk."""
    found: dict[str, str] = {}
    at = 0
    while (match := _XML_PARAMETER.match(text, at)) is not None:
        end = text.find(_XML_PARAMETER_END, match.end())
        if end == -1:
            return None
        found[match[1]] = text[match.end() : end].removesuffix("\n")
        at = end + len(_XML_PARAMETER_END)
    return None if text[at:].strip() else found


def _call(name: str, arguments: Any) -> TextCall | None:
    if not isinstance(arguments, dict):
        return None
    return TextCall(name, _encode(arguments).decode())


def _value(text: str) -> Any:
    """`text` decoded; None when it is not JSON."""
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return None
