"""Random valid TOML documents, in every way of writing that the format has."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st

_CHARS = st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0x1FFFF) | st.sampled_from(
    "\n\t\"'\\#[]{}=,. "
)
_TEXTS = st.text(_CHARS, max_size=6)
_KEYS = st.sampled_from(["a", "b", "c", "port", "a-b", "1", "true"]) | _TEXTS
_SCALARS = (
    st.integers(-(10**6), 10**6)
    | st.booleans()
    | st.sampled_from([1.5, float("inf"), "1979-05-27 07:32:00Z", "07:32:00"])
    | _TEXTS
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_KEYS, inner, max_size=3)
        | st.lists(st.dictionaries(_KEYS, inner, max_size=3), min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """The text of a valid document."""
    lines = _Writer(draw).table((), draw(st.dictionaries(_KEYS, _VALUES, max_size=4)))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    text = "".join(f"{line}\n" for line in lines)
    return text.replace("\n", ending) if draw(st.booleans()) else text.rstrip("\n")


class _Writer:
    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def table(self, path: tuple[str, ...], table: dict[str, Any]) -> list[str]:
        """Plain pairs first; everything after a header belongs to it."""
        pairs: list[str] = []
        headers: list[str] = []
        for key, value in table.items():
            style = self._draw(st.integers(0, 2))
            if isinstance(value, dict) and style == 0:
                headers += [self._header("[", (*path, key), "]"), *self.table((*path, key), value)]
            elif isinstance(value, dict) and value and style == 1:
                pairs += self._dotted((key,), value)
            elif _is_array_of_tables(value) and style == 0:
                for item in value:
                    headers.append(self._header("[[", (*path, key), "]]"))
                    headers += self.table((*path, key), item)
            else:
                pairs.append(self._pair((key,), value))
        return [*self._comments(), *pairs, *headers]

    def _dotted(self, path: tuple[str, ...], table: dict[str, Any]) -> list[str]:
        lines = []
        for key, value in table.items():
            if isinstance(value, dict) and value and self._draw(st.booleans()):
                lines += self._dotted((*path, key), value)
            else:
                lines.append(self._pair((*path, key), value))
        return lines

    def _header(self, opening: str, path: tuple[str, ...], closing: str) -> str:
        blank = self._blank()
        return f"{blank}{opening}{blank}{self._key(path)}{blank}{closing}{self._tail()}"

    def _pair(self, path: tuple[str, ...], value: Any) -> str:
        return f"{self._blank()}{self._key(path)}{self._blank()}={self.value(value)}{self._tail()}"

    def _key(self, path: tuple[str, ...]) -> str:
        return f"{self._blank()}.{self._blank()}".join(self._part(part) for part in path)

    def _part(self, part: str) -> str:
        style = self._draw(st.integers(0, 2))
        if re.fullmatch(r"[A-Za-z0-9_-]+", part) and style == 0:
            return part
        if style == 1 and not re.search(r"['\n\t]", part):
            return f"'{part}'"
        return json.dumps(part, ensure_ascii=False)

    def value(self, value: Any) -> str:
        blank = self._blank()
        match value:
            case str():
                return blank + self._string(value)
            case dict():
                pairs = [
                    f"{self._key((key,))}{blank}={self.value(item)}" for key, item in value.items()
                ]
                return f"{blank}{{{blank}{f'{blank},{blank}'.join(pairs)}{blank}}}"
            case list():
                gap = self._draw(st.sampled_from(["", " ", "\n", " # ] , [\n  "]))
                items = f"{gap},{gap}".join(self.value(item) for item in value)
                last = "," if value and self._draw(st.booleans()) else ""
                return f"{blank}[{gap}{items}{gap}{last}{gap}]"
            case _:
                return blank + str(value).lower()

    def _string(self, text: str) -> str:
        if re.fullmatch(r"[0-9:Z -]+:00Z?", text):
            return text  # a date or a time
        style = self._draw(st.integers(0, 3))
        if style == 1 and not re.search(r"['\n\t]", text):
            return f"'{text}'"
        if style == 2 and "'''" not in text:
            return f"'''{text}'''" if not text.endswith("'''") else json.dumps(text)
        if style == 3:
            escaped = text.replace("\\", "\\\\").replace('"""', '""\\"')
            return f'"""{escaped}"""'
        return json.dumps(text, ensure_ascii=False)

    def _comments(self) -> list[str]:
        return self._draw(st.sampled_from([[], ["# a = 1"], ["", '\t# [x] "'], ["#"]]))

    def _tail(self) -> str:
        return self._draw(st.sampled_from(["", " ", " # b = [", "#'"]))

    def _blank(self) -> str:
        return self._draw(st.sampled_from(["", " ", "\t "]))


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)
