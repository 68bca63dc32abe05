"""Tool calls of an answer: which delta belongs to which call, and how each call is named.

Source: translation spec, sections 2.4 and 3.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from llmproxyd.dialects.openai_chat.arguments import Arguments
from llmproxyd.dialects.openai_chat.chunks import Function, ToolDelta
from llmproxyd.dialects.openai_chat.encoded import Encoded

_LEGACY = "function_call"  # the key of the one call that the old field can hold
_ID_MAX = 64
_ID_RANDOM = 24
_is_legal_id = re.compile(rf"[a-zA-Z0-9_-]{{1,{_ID_MAX}}}").fullmatch
_encode = msgspec.json.Encoder().encode

Key = int | str | None


class ToolSlot:
    """One call being assembled.

    Attributes:
        id: the upstream's id; "" when it gave none.
        name: its name so far, as the upstream calls the tool.
        arguments: what has come of its arguments.
        outbox: arguments that may be forwarded once the block is open.
        is_open: its block has been started.
    """

    __slots__ = ("arguments", "id", "is_open", "name", "outbox")

    def __init__(self, *, is_live: bool) -> None:
        self.id = ""
        self.name = ""
        self.arguments = Arguments(is_live=is_live)
        self.outbox: list[str] = []
        self.is_open = False

    @property
    def is_ready(self) -> bool:
        """Its block can be opened: the name is there, and is whole."""
        return bool(self.name) and self.arguments.has_begun

    @property
    def is_unfinished(self) -> bool:
        """Its arguments have begun and go on."""
        return self.arguments.has_begun and not self.arguments.is_complete

    @property
    def is_holding(self) -> bool:
        """Arguments that come are kept, not forwarded."""
        return bool(self.outbox) or not self.arguments.is_live

    def add(self, tool_id: str, name: str, arguments: str) -> None:
        """Take what one delta brings; each part may be empty."""
        if not self.id and not self.is_open:
            self.id = tool_id
        # Pieces make the name until arguments begin; some servers repeat all of it each time.
        if name != self.name and (not self.name or not self.arguments.has_begun):
            self.name += name
        if arguments and (piece := self.arguments.feed(arguments)):
            self.outbox.append(piece)

    def take(self) -> str:
        """What can be forwarded, once."""
        if not self.outbox:
            return ""
        pieces, self.outbox = self.outbox, []
        return pieces[0] if len(pieces) == 1 else "".join(pieces)


class ToolSlots:
    """Finds the slot of each delta."""

    def __init__(self, *, is_live: bool) -> None:
        self._is_live = is_live
        self._by_key: dict[Key, ToolSlot] = {}
        self._by_id: dict[str, ToolSlot] = {}
        self._latest: ToolSlot | None = None

    def take(self, delta: ToolDelta, position: int | None) -> tuple[ToolSlot, bool, str]:
        """Add `delta` to its slot.

        Args:
            delta: as received.
            position: its place in a complete list of calls, which then serves as its index.

        Returns:
            The slot, whether it is new, and the arguments that were added to it.
        """
        key = _index(delta.index)
        return self._add(key if key is not None else position, _string(delta.id), delta.function)

    def take_legacy(self, function: Function) -> tuple[ToolSlot, bool, str]:
        """Add a piece of the legacy `function_call`; returns as `take`."""
        return self._add(_LEGACY, "", function)

    def _add(self, key: Key, tool_id: str, function: Function | None) -> tuple[ToolSlot, bool, str]:
        function = function or Function()
        name, arguments = _string(function.name), _arguments(function.arguments)
        slot = self._find(key, tool_id, name)
        is_new = slot is None
        if slot is None:
            slot = ToolSlot(is_live=self._is_live)
            self._by_key[key] = slot
        slot.add(tool_id, name, arguments)
        if tool_id:
            self._by_id.setdefault(tool_id, slot)
        self._latest = slot
        return slot, is_new, arguments

    def _find(self, key: Key, tool_id: str, name: str) -> ToolSlot | None:
        """The slot that a delta continues; None when it begins a new call."""
        if key is None:
            return self._find_without_index(tool_id, name)
        slot = self._by_key.get(key)
        if slot is None or slot.is_unfinished or not name:
            return slot
        return None if _is_other_call(slot, tool_id, name) else slot

    def _find_without_index(self, tool_id: str, name: str) -> ToolSlot | None:
        latest = self._latest
        known = self._by_id.get(tool_id) if tool_id else None
        if known is not None or latest is None:
            return known
        if latest.is_unfinished and (not name or (not tool_id and name == latest.name)):
            return latest
        return None if tool_id or name else latest


def _is_other_call(slot: ToolSlot, tool_id: str, name: str) -> bool:
    """A named delta under the index of `slot`, whose arguments are not under way, is a new call.

    Ollama sends every one of several parallel calls as index 0.
    """
    if tool_id and slot.id:
        return tool_id != slot.id
    if slot.arguments.is_complete:
        return bool(tool_id) or name != slot.name
    return bool(tool_id) and name != slot.name


class ToolNames:
    """Upstream tool names back to the client's own."""

    def __init__(self, encoded: Encoded) -> None:
        self._exact = {name: name for name in encoded.tool_names} | encoded.names
        folded: dict[str, set[str]] = {}
        for upstream, name in self._exact.items():
            folded.setdefault(upstream.lower(), set()).add(name)
        self._folded = folded

    def is_known(self, upstream: str) -> bool:
        """A tool of the request has this name, case apart."""
        return upstream in self._exact or upstream.lower() in self._folded

    def client_name(self, upstream: str) -> str:
        """The client's name; without case when only one tool matches; else as received."""
        exact = self._exact.get(upstream)
        if exact is not None:
            return exact
        similar = self._folded.get(upstream.lower(), ())
        return next(iter(similar)) if len(similar) == 1 else upstream


class ToolIds:
    """Ids of the tool_use blocks of one answer: unique in it and against the whole history.

    A reused id makes the client drop the later call and its result, and loop.
    """

    def __init__(self, history: frozenset[str], entropy: Callable[[int], str]) -> None:
        self._history = history
        self._used: set[str] = set()
        self._entropy = entropy

    def claim(self, upstream: str) -> str:
        """The upstream's id if it can be kept, else a fresh one."""
        tool_id = upstream
        while not _is_legal_id(tool_id) or tool_id in self._used or tool_id in self._history:
            tool_id = f"toolu_{self._entropy(_ID_RANDOM)}"
        self._used.add(tool_id)
        return tool_id


def _index(value: Any) -> int | None:
    """An index as a number; anything else counts as missing."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < _ID_MAX else None
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: Any) -> str:
    """Arguments as text: some servers send the object itself."""
    if value is None or isinstance(value, str):
        return value or ""
    return _encode(value).decode()
