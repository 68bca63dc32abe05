"""Names and ids of tools as backends accept them (translation spec, sections 1.3.7 and 1.5).

Both are stateless functions of the client's own name or id, applied again on every turn, so that
the same call reads the same for as long as the conversation lasts.
"""

from __future__ import annotations

import hashlib
import re

NAME_MAX = 64
_HASH_CHARS = 8
_ID_HASH_CHARS = 24
_ID_PREFIX = "call_"
_ID_MAX_LEAST = 8  # fewer could run out of ids
_SHORTEST_PREFIXED = 12  # below this many characters a prefix would leave too little of the hash

_is_legal = re.compile(r"[a-zA-Z0-9_-]+").fullmatch
_illegal = re.compile(r"[^a-zA-Z0-9_-]")


def upstream_name(name: str) -> str:
    """`name` in at most 64 characters of `[a-zA-Z0-9_-]`; a changed name ends in a hash of it."""
    if len(name) <= NAME_MAX and _is_legal(name):
        return name
    digest = _digest(name)[:_HASH_CHARS]
    return f"{_illegal.sub('_', name)[: NAME_MAX - _HASH_CHARS - 1]}_{digest}"


def upstream_id(tool_id: str, max_chars: int) -> str:
    """`tool_id` in at most `max_chars` characters of `[a-zA-Z0-9_-]`."""
    if len(tool_id) <= max_chars and _is_legal(tool_id):
        return tool_id
    digest = _digest(tool_id)[:_ID_HASH_CHARS]
    prefix = _ID_PREFIX if max_chars >= _SHORTEST_PREFIXED else ""
    return (prefix + digest)[:max_chars]


class CallIds:
    """Upstream ids of the calls of one conversation, in order, each used once.

    An id that came before gets the suffix `_2`, `_3` …: proxies have been seen to reuse `call_0`
    on every turn. Only earlier calls count, so a longer history does not change a shorter one.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max(max_chars, _ID_MAX_LEAST)
        self._used: set[str] = set()
        self._uses: dict[str, int] = {}

    def assign(self, tool_id: str) -> str:
        """The upstream id of the next call, which the client knows as `tool_id`."""
        count = self._uses.get(tool_id, 0) + 1
        unique = upstream_id(tool_id if count == 1 else f"{tool_id}_{count}", self._max_chars)
        while unique in self._used:
            count += 1
            unique = upstream_id(f"{tool_id}_{count}", self._max_chars)
        self._uses[tool_id] = count
        self._used.add(unique)
        return unique


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
