"""Where each value of the configuration was written, over all its sources."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from llmproxyd.errors import Problem

KeyPath = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Position(NamedTuple):
    """A place in a file, both counted from 1, the column in characters."""

    line: int
    column: int


def quoted(text: str) -> str:
    """`text` in quotes, on one line whatever it holds; JSON's form is TOML's too."""
    return msgspec.json.encode(text).decode()


def dotted(path: KeyPath) -> str:
    """A key path as a person would write it: `backends."my box".url`, `fallback[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else quoted(part)
            text += f".{key}" if text else key
    return text


class Places(msgspec.Struct, frozen=True):
    """The origin of every key.

    Attributes:
        file: name of the configuration file.
        positions: keys and array elements of the file.
        overrides: keys that a later layer has set, and its name (`LLM_BACKEND`, `--port`).
    """

    file: str = ""
    positions: dict[KeyPath, Position] = {}
    overrides: dict[KeyPath, str] = {}

    def is_written(self, path: KeyPath) -> bool:
        """Whether the file has this key."""
        return path in self.positions

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        """A problem with the value at `path`; what is not written itself is shown at its table."""
        for length in range(len(path), 0, -1):
            prefix = path[:length]
            if prefix in self.overrides:
                return Problem(dotted(path), message, hint, self.overrides[prefix])
            if prefix in self.positions:
                line, column = self.positions[prefix]
                return Problem(dotted(path), message, hint, self.file, line, column)
        return Problem(dotted(path), message, hint, self.file)
