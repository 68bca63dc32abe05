"""What a person or a script sees: data on stdout, talk on stderr, no colors in between."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_COLORS: Final = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}
_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S
_DAY_S: Final = 24 * _HOUR_S


class Console:
    """The two streams of a command.

    Args:
        stdout: gets the answer and nothing else, so that it can be piped and evaluated.
        stderr: gets everything that is for a person.
        as_json: the answer was asked for as JSON.
        color: stdout may have colors.
    """

    def __init__(self, stdout: TextIO, stderr: TextIO, *, as_json: bool, color: bool) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self.as_json = as_json
        self._color = color

    @property
    def is_watched(self) -> bool:
        """Somebody looks at stderr, so progress is worth showing."""
        return self._stderr.isatty()

    def say(self, text: str) -> None:
        """A line of the answer."""
        print(text, file=self._stdout)

    def say_json(self, value: Mapping[str, Any]) -> None:
        """The answer as JSON, one object."""
        self.say(json.dumps(value, indent=2, ensure_ascii=False))

    def talk(self, text: str, *, end: str = "\n") -> None:
        """A line for the person; errors too."""
        print(text, file=self._stderr, end=end, flush=True)

    def paint(self, text: str, color: str) -> str:
        """`text` in a color of the table above, if colors are wanted."""
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self._color else text


def wants_color(stream: TextIO, env: Mapping[str, str]) -> bool:
    """Colors on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return stream.isatty() and not env.get("NO_COLOR") and env.get("TERM") != "dumb"


def printable(text: object) -> str:
    """`text` with control characters written out: it may come from a foreign server."""
    return str(text).translate(_CONTROLS)


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with columns two blanks apart; the first row is the head. Columns may be empty."""
    texts = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]


def duration(seconds: float) -> str:
    """Seconds as a person says them, in the two largest units: `3d 4h`, `2m 5s`, `7s`."""
    whole = max(0, int(seconds))
    days, hours = whole // _DAY_S, whole % _DAY_S // _HOUR_S
    minutes, rest = whole % _HOUR_S // _MINUTE_S, whole % _MINUTE_S
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"


def counted(number: int, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
