"""Where the keys of a TOML document stand. tomllib does not say, and its values carry no marks.

The scanner runs on documents that tomllib has accepted already, so it checks nothing and needs
to know only where keys, strings and brackets begin and end. That it sees exactly the keys that
tomllib sees is a property test.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

from llmproxyd.config.places import KeyPath, Position

_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    # Up to two quotes may stand directly before the closing three.
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]*")


def key_positions(text: str) -> dict[KeyPath, Position]:
    """The position of every key and array element of a valid TOML document.

    A table that is mentioned several times (`[a.b]`, `a.c = 1`) stands where it came first.

    Raises:
        RecursionError: nested too deeply.
    """
    scanner = _Scanner(text)
    scanner.document()
    starts = [0, *(match.end() for match in re.finditer(r"\n", text))]
    positions = {}
    for path, offset in scanner.found.items():
        line = bisect_right(starts, offset)
        positions[path] = Position(line, offset - starts[line - 1] + 1)
    return positions


class _Scanner:
    def __init__(self, text: str) -> None:
        self.found: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._lengths: dict[KeyPath, int] = {}  # arrays of tables, and how many they have so far

    def document(self) -> None:
        table: KeyPath = ()
        while char := self._next():
            if char == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        is_array = self._text.startswith("[[", self._at)
        self._at += 1 + is_array
        parts = self._key()
        path: KeyPath = ()
        for number, (part, offset) in enumerate(parts, 1):
            path = (*path, part)
            self.found.setdefault(path, offset)
            if is_array and number == len(parts):
                self._lengths[path] = self._lengths.get(path, 0) + 1
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
                self.found.setdefault(path, offset)
        self._skip(_BLANK)
        self._at += 1 + is_array
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        for part, offset in self._key():
            path = (*path, part)
            self.found.setdefault(path, offset)
        self._skip(_BLANK)
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self) -> list[tuple[str, int]]:
        parts = []
        while True:
            self._skip(_BLANK)
            start = self._at
            if self._text[start] in "\"'":
                self._skip(_STRING)
                # tomllib itself undoes the escapes.
                part = str(tomllib.loads(f"k = {self._text[start : self._at]}")["k"])
            else:
                self._skip(_BARE_KEY)
                part = self._text[start : self._at]
            parts.append((part, start))
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        match self._text[self._at]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while self._next() != "]":
            self.found[(*path, index)] = self._at
            self._value((*path, index))
            self._comma()
            index += 1
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while self._next() != "}":
            self._pair(path)
            self._comma()
        self._at += 1

    def _comma(self) -> None:
        if self._next() == ",":
            self._at += 1

    def _next(self) -> str:
        """The next character that is neither blank nor comment; "" at the end."""
        self._skip(_SPACE)
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
