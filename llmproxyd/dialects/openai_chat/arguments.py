"""Arguments of a tool call: JSON text from models that do not always write JSON.

A closed tool block is executed by the client, so nothing is guessed here: text that is no JSON
object becomes the shape that the client itself gives to what it can not parse, and the model is
told so (translation spec, section 2.4). An object that arrives in pieces is forwarded at once.
"""

from __future__ import annotations

import re
from enum import Enum

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_STRUCTURE = re.compile(r'["{}\[\]]')
_STRING_REST = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)
_FENCE = re.compile(r"```[A-Za-z]*\s*")
# What may stand behind a complete object: a brace too many, the end of a fence, blanks.
_JUNK = "}` \t\r\n"
# Objects without members: some servers send `{}` first and the true arguments after it.
_EMPTY_OBJECTS = re.compile(r"(?:\{\s*+\}\s*+)++")
_EMPTY_SO_FAR = re.compile(r"\{\s*(?:\}\s*)?")
_CLOSERS = {"{": "}", "[": "]"}


class JSONScanner:
    """Finds the end of one JSON object, array or string in pieces of text; linear, no parsing."""

    __slots__ = ("_closers", "_in_string", "_is_escaped", "_is_started")

    def __init__(self) -> None:
        self._closers: list[str] = []
        self._in_string = False
        self._is_escaped = False
        self._is_started = False

    def feed(self, text: str) -> int:
        """Offset just behind the end of the value in `text`, or -1 when it is not there yet."""
        at = 0
        while at < len(text):
            if self._in_string:
                at = self._skip_string(text, at)
            else:
                match = _STRUCTURE.search(text, at)
                if match is None:
                    return -1
                at = match.end()
                self._step(match[0])
            if self._is_started and not self._in_string and not self._closers:
                return at
        return -1

    @property
    def missing_tail(self) -> str:
        """What would end the value here: a quote, then brackets from the inside out."""
        return ('"' if self._in_string else "") + "".join(reversed(self._closers))

    def _step(self, character: str) -> None:
        if character == '"':
            self._in_string = self._is_started = True
        elif character in _CLOSERS:
            self._closers.append(_CLOSERS[character])
            self._is_started = True
        elif self._closers:
            self._closers.pop()

    def _skip_string(self, text: str, at: int) -> int:
        """Offset behind the string's closing quote, or the end of `text`."""
        if self._is_escaped:
            self._is_escaped = False
            at += 1
        match = _STRING_REST.match(text, at)
        at = len(text) if match is None else match.end()
        if at >= len(text):
            return len(text)
        self._is_escaped = text[at] == "\\"
        self._in_string = self._is_escaped
        return at + 1


def settle(text: str, *, repair: bool = False) -> str:
    """The JSON text to send for complete arguments; "" for no arguments at all.

    Args:
        text: as the model wrote it.
        repair: a missing tail of quotes and brackets may be added (`repair_args`).
    """
    found = _object_in(text)
    if found is None and repair:
        found = _repaired(text)
    if found is None:
        raw = {"raw": text, "len": len(text.encode("utf-8", "replace"))}
        return _encode({"__unparsedToolInput": raw}).decode()
    return "" if _EMPTY_SO_FAR.fullmatch(found) else found


def _object_in(text: str) -> str | None:
    """The one JSON object that `text` amounts to, or None."""
    text = text.strip()
    if text in ("", "null"):
        return "{}"
    if (fence := _FENCE.match(text)) is not None:
        text = text[fence.end() :]
    if text.startswith('"'):
        inner = _value(text)
        text = inner.strip() if isinstance(inner, str) else ""
    return _leading_object(text)


def _leading_object(text: str) -> str | None:
    """The object that `text` begins with, if nothing but junk follows it."""
    is_empty, text = _skip_empty(text)
    if is_empty:
        return None if text.strip(_JUNK) else "{}"
    if not text.startswith("{"):
        return None
    end = JSONScanner().feed(text)
    if end == -1 or text[end:].strip(_JUNK) or not isinstance(_value(text[:end]), dict):
        return None
    return text[:end]


def _skip_empty(text: str) -> tuple[bool, str]:
    """Whether `text` amounts to an empty object so far, and what follows such objects."""
    match = _EMPTY_OBJECTS.match(text)
    rest = text if match is None else text[match.end() :]
    return match is not None and not rest.startswith("{"), rest


def _repaired(text: str) -> str | None:
    scanner = JSONScanner()
    scanner.feed(text)
    return _object_in(text + scanner.missing_tail)


def _value(text: str) -> object:
    """`text` decoded; None when it is not JSON."""
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return None


class _Mode(Enum):
    UNDECIDED = "nothing has come that decides"
    LIVE = "an object, forwarded as it comes"
    WHOLE = "kept to the end"
    COMPLETE = "forwarded to its end"


class Arguments:
    """The arguments of one call as they arrive.

    Attributes:
        has_begun: a non-empty piece has come.
        has_junk: something followed the complete object and was dropped.
    """

    __slots__ = ("_held", "_is_closed", "_mode", "_scanner", "has_begun", "has_junk")

    def __init__(self, *, is_live: bool) -> None:
        """`is_live` forwards an object at once; otherwise everything waits for `finish`."""
        self._mode = _Mode.UNDECIDED if is_live else _Mode.WHOLE
        self._held: list[str] = []
        self._scanner = JSONScanner()
        self._is_closed = False  # the scanner has seen the end of a value
        self.has_begun = False
        self.has_junk = False

    @property
    def is_complete(self) -> bool:
        """A whole value is there; for all that is known, the call is."""
        return self._is_closed or (self._mode is _Mode.UNDECIDED and self._held == ["{}"])

    @property
    def is_live(self) -> bool:
        """What comes is forwarded at once."""
        return self._mode is _Mode.LIVE

    @property
    def is_certain(self) -> bool:
        """`is_complete`, and not a mere `{}` that the true arguments may still replace."""
        if self._mode is _Mode.WHOLE and self._is_closed:
            return not _EMPTY_SO_FAR.fullmatch("".join(self._held).strip())
        return self._is_closed

    def feed(self, text: str) -> str:
        """Take a non-empty piece; returns what can be forwarded now."""
        self.has_begun = True
        match self._mode:
            case _Mode.LIVE:
                return self._forward(text)
            case _Mode.UNDECIDED:
                return self._decide("".join(self._held) + text)
            case _Mode.WHOLE:
                self._keep(text)
            case _:
                self.has_junk |= not text.isspace()
        return ""

    def finish(self, *, repair: bool = False) -> str:
        """The rest to forward at the end of the call."""
        match self._mode:
            case _Mode.WHOLE:
                return settle("".join(self._held), repair=repair)
            case _Mode.UNDECIDED if self._held == ["{"]:
                return "{"
            case _:
                return ""

    def _decide(self, text: str) -> str:
        """Decide by the first characters how to go on; blanks and `{}` do not decide yet."""
        is_empty, text = _skip_empty(text.lstrip())
        self._held = []
        if is_empty and text:
            self._mode, self._is_closed, self.has_junk = _Mode.COMPLETE, True, True
        elif is_empty:
            self._held = ["{}"]
        elif _EMPTY_SO_FAR.fullmatch(text):
            self._held = ["{"]
        elif text.startswith("{"):
            self._mode = _Mode.LIVE
            return self._forward(text)
        elif text:
            self._mode = _Mode.WHOLE
            self._keep(text)
        return ""

    def _forward(self, text: str) -> str:
        end = self._scanner.feed(text)
        if end == -1:
            return text
        self._mode, self._is_closed = _Mode.COMPLETE, True
        self.has_junk |= bool(text[end:].strip())
        return text[:end]

    def _keep(self, text: str) -> None:
        self._held.append(text)
        if not self._is_closed:
            self._is_closed = self._scanner.feed(text) != -1
