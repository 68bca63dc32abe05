r"""Changes to the top level of a JSON object that leave every other byte alone.

Pass-through must not re-encode a body: fields that nobody here knows, the order of keys, escapes
and white space survive only as bytes. So the members of the outermost object are located, and
only theirs are cut or replaced.

How they are located: msgspec skips through the object at C speed and hands out each value as raw
bytes. Their lengths give the offsets, member by member, and every step is checked against the
text. What msgspec can not tell (a key that occurs twice keeps its last value only; a lone
surrogate makes it refuse the whole text) is measured by a small scanner instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_SPACE = rb"[ \t\r\n]*"
_OPEN = re.compile(_SPACE + rb"\{" + _SPACE)
_KEY = re.compile(rb"(" + _STRING + rb")" + _SPACE + rb":" + _SPACE, re.DOTALL)
_NEXT = re.compile(_SPACE + rb"([,}])" + _SPACE)
_SCALAR = re.compile(_STRING + rb"|[^\s,\]}]+", re.DOTALL)
_TOKEN = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)


class Member(msgspec.Struct, frozen=True, gc=False):
    """One member of an object, as offsets into its text.

    Attributes:
        key: decoded, so that `"mod\u0065l"` is `model`.
        start: of the key.
        value: of the value.
        end: behind the value.
    """

    key: str
    start: int
    value: int
    end: int


def splice(raw: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """`raw` with the top-level members named in `changes` replaced, or removed where None.

    Every occurrence of a key counts. A key that does not occur is not added. In text that is not
    JSON, only members before the fault are found; it is never an error.

    Args:
        raw: the text of a JSON object.
        changes: key to the text of its new value, or None.
    """
    members = list(find_members(raw))
    if not any(member.key in changes for member in members):
        return raw
    out = [raw[: members[0].start]]
    separator = b""
    for member, following in zip(members, [*members[1:], None], strict=True):
        value = changes.get(member.key, b"")
        if value is not None:
            kept = raw[member.value : member.end] if member.key not in changes else value
            out += (separator, raw[member.start : member.value], kept)
            separator = raw[member.end : following.start] if following else b""
    return b"".join([*out, raw[members[-1].end :]])


def find_members(raw: bytes) -> Iterator[Member]:
    """The members of the outermost object of `raw`, in order; none if it is no object."""
    try:
        values: dict[str, msgspec.Raw] = _values(raw)
    except msgspec.ValidationError:
        return
    except (ValueError, RecursionError):
        values = {}
    opening = _OPEN.match(raw)
    at = opening.end() if opening else len(raw)
    while key := _KEY.match(raw, at):
        name = _name(key[1])
        end = _value_end(raw, key.end(), values.get(name))
        following = _NEXT.match(raw, end)
        if following is None or end == key.end():
            return
        yield Member(name, at, key.end(), end)
        if following[1] == b"}":
            return
        at = following.end()


def _name(text: bytes) -> str:
    try:
        name: str = _decode(text)
    except ValueError:  # a lone surrogate, bad UTF-8; no key that anybody looks for has one
        return text.decode("utf-8", "replace")
    return name


def _value_end(raw: bytes, start: int, value: msgspec.Raw | None) -> int:
    """Offset behind the value at `start`; `value` is what msgspec has read, if it could."""
    if value is not None:
        text = bytes(value)
        end = start + len(text)
        # Only a number can be a mere prefix of what stands there; then no delimiter follows.
        if raw.startswith(text, start) and _NEXT.match(raw, end):
            return end
    return _scan(raw, start)


def _scan(raw: bytes, start: int) -> int:
    """Offset behind the JSON value at `start`, found token by token."""
    if raw[start : start + 1] not in (b"{", b"["):
        scalar = _SCALAR.match(raw, start)
        return scalar.end() if scalar else start
    depth = 0
    for token in _TOKEN.finditer(raw, start):
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return token.end()
    return len(raw)
