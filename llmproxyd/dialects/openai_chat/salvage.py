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

_XML_CALL = re.compile(r"\s*<function=([^>\s]+)>(.*)</function>\s*", re.DOTALL)
_XML_PARAMETER = re.compile(r"\s*<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_HARMONY_CALL = re.compile(
    r"<\|channel\|>\s*\w*\s*to=functions\.([\w.-]+)[^{]*<\|message\|>\s*(\{.*\})\s*<\|call\|>",
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

    __slots__ = ("_closer", "_held", "_held_chars", "_is_known", "_salvages", "has_found")

    def __init__(self, is_known: Callable[[str], bool], *, salvages: bool) -> None:
        """`is_known` tells whether a name is one of the request's tools."""
        self._is_known = is_known
        self._salvages = salvages
        self._held: list[str] = []
        self._held_chars = 0
        self._closer = ""  # what ends the call that has begun; "" between calls
        self.has_found = False

    @property
    def is_idle(self) -> bool:
        """Text without `<` would come back as it is."""
        return not self._held or (self.has_found and not self._salvages)

    def feed(self, text: str) -> list[str | TextCall]:
        """What `text` completes."""
        if self.has_found and not self._salvages:
            return [text]
        found: list[str | TextCall] = []
        while text:
            text = self._read_call(text, found) if self._closer else self._read_text(text, found)
        return found

    def flush(self) -> str:
        """What is held back: no call any more."""
        held = "".join(self._held)
        self._held.clear()
        self._held_chars = 0
        self._closer = ""
        return held

    def _read_text(self, text: str, found: list[str | TextCall]) -> str:
        """Pass on text up to the beginning of a call; the rest is to be read again."""
        text = self.flush() + text
        match = _OPENER.search(text)
        if match is None:
            keep = _partial_opener(text)
            if keep:
                self._held.append(text[len(text) - keep :])
            if keep < len(text):
                found.append(text[: len(text) - keep])
            return ""
        self.has_found = True
        if not self._salvages:
            found.append(text)
            return ""
        if match.start():
            found.append(text[: match.start()])
        self._closer = _CLOSERS[match[0]]
        self._held.append(match[0])
        return text[match.end() :]

    def _read_call(self, text: str, found: list[str | TextCall]) -> str:
        """Keep text up to the end of the call; the rest is to be read again."""
        tail = self._held.pop()
        text = tail + text
        end = text.find(self._closer)
        if end == -1:
            keep = len(self._closer)
            self._held += [text[:-keep], text[-keep:]]
            self._held_chars += len(text) - len(tail)
            if self._held_chars > _HELD_MAX_CHARS:
                found.append(self.flush())
            return ""
        end += len(self._closer)
        self._held.append(text[:end])
        markup = self.flush()
        call = _read(markup)
        is_usable = call is not None and self._is_known(call.name)
        found.append(call if call is not None and is_usable else markup)
        return text[end:]


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
    """Parameters as text: the client coerces numbers and booleans itself."""
    if _XML_PARAMETER.sub("", text).strip():
        return None
    return dict(_XML_PARAMETER.findall(text))


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
