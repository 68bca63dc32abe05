"""Thinking that a genuine Anthropic backend would refuse, taken out of the conversation.

A thinking block is accepted only by the backend that signed it. After a session has been on
another backend its history holds blocks with our own signature or none (translation spec,
section 1.9); a backend behind the same name may also have been exchanged without our knowing.
Only the blocks that go are cut out: every byte of the others stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from llmproxyd.wire.signature import PREFIX, is_ours
from llmproxyd.wire.splice import splice

# What a body must hold for a block to be foreign; nearly no body does. The first of the two is
# looked for first, at an eighth of the cost of the second.
_SIGNATURE = b'"signature"'
_SUSPICION = re.compile(rb'"signature"\s*:\s*"(?:"|' + re.escape(PREFIX.encode()) + rb")")


class _Block(msgspec.Struct):
    type: Any = None
    signature: Any = None


class _Message(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Body(msgspec.Struct):
    messages: msgspec.Raw = msgspec.Raw(b"null")


_body = msgspec.json.Decoder(_Body).decode
_message = msgspec.json.Decoder(_Message).decode
_block = msgspec.json.Decoder(_Block).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def without_foreign_thinking(raw: bytes) -> bytes:
    """The body without thinking blocks that are unsigned or signed by this proxy."""
    is_suspicious = _SIGNATURE in raw and _SUSPICION.search(raw)
    return _without(raw, _is_foreign) if is_suspicious else raw


def without_thinking(raw: bytes) -> bytes:
    """The body without any thinking block."""
    return _without(raw, _is_thinking)


def _is_foreign(block: _Block) -> bool:
    if block.type != "thinking":
        return False
    return not isinstance(block.signature, str) or not block.signature or is_ours(block.signature)


def _is_thinking(block: _Block) -> bool:
    return block.type in ("thinking", "redacted_thinking")


def _without(raw: bytes, is_dropped: Callable[[_Block], bool]) -> bytes:
    """The body without the blocks chosen; as it is when its shape is not what we know.

    A message left without blocks goes too: an empty one would be refused, while its neighbours
    of the same role are accepted side by side.
    """
    try:
        messages = [bytes(message) for message in _array(_body(raw).messages)]
        kept = [_filter(message, is_dropped) for message in messages]
    except (ValueError, RecursionError):
        return raw
    if kept == messages:
        return raw
    return splice(raw, {"messages": _join(message for message in kept if message)})


def _filter(message: bytes, is_dropped: Callable[[_Block], bool]) -> bytes:
    """One message without the blocks chosen; empty when nothing is left of it."""
    content = bytes(_message(message).content)
    if not content.startswith(b"["):
        return message
    blocks = [bytes(block) for block in _array(content)]
    kept = [block for block in blocks if block[:1] != b"{" or not is_dropped(_block(block))]
    if len(kept) == len(blocks):
        return message
    return splice(message, {"content": _join(kept)}) if kept else b""


def _join(values: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(values)
