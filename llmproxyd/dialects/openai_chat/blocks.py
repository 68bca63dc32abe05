"""One content block to what stands for it in Chat Completions (translation spec, section 1.4).

User blocks and the parts of tool results become `Part`s: text, or an image or file part.
Assistant blocks become text; tool_use and thinking have their own files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from llmproxyd.dialects.openai_chat.media import document_parts, image_parts
from llmproxyd.dialects.openai_chat.scope import Block, Part, Scope, is_blank, kind_of, text_of
from llmproxyd.dialects.openai_chat.tool_names import upstream_name

UNKNOWN_MAX_CHARS = 4000
REMINDER_OPEN = "<system-reminder>"
REMINDER_CLOSE = "</system-reminder>"

_NO_OUTPUT = "(no output)"
_ERROR_STARTS = ("error", "<tool_use_error>")
_ERROR_LOOK_CHARS = max(map(len, _ERROR_STARTS))
_ATTACHMENTS = {"image_url": "image", "file": "document"}

# Kinds that mean nothing to another model, or nothing outside Anthropic's own servers.
_DROPPED = frozenset(
    {
        *("redacted_thinking", "container_upload", "fallback", "tool_addition", "tool_removal"),
        *("mcp_tool_listing", "advisor", "advisor_tool_result"),
    }
)
_SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
_ASSISTANT_KINDS = frozenset({"text", "compaction", "tool_use", "thinking", *_SERVER_CALLS})
_SERVER_RESULT = "_tool_result"
# What of a server tool's result is readable, in the order in which it is told.
_READABLE = (
    *("title", "url", "source", "text", "tool_name", "error_code", "stdout", "stderr"),
    *("data", "summary"),
)
_NESTED = ("content", "source", "tool_references")

_encode = msgspec.json.Encoder().encode


def is_kept(block: Block, role: str, scope: Scope) -> bool:
    """True when translation makes something of `block` in a message of `role`."""
    kind = kind_of(block)
    is_known = kind not in _DROPPED and (
        kind in _ASSISTANT_KINDS or kind.endswith(_SERVER_RESULT)
        if role == "assistant"
        else kind != "thinking"
    )
    if not is_known:
        scope.note("dropped_block", kind or "untyped")
        return False
    read = _TEXTS.get(kind)
    return read is None or not is_blank(read(block))


def user_parts(block: Block, scope: Scope) -> list[Part]:
    """The parts of a user block other than a tool_result, or of one item in a tool result."""
    kind = kind_of(block)
    if kind in _TEXTS:
        return [_TEXTS[kind](block)]
    if kind in _PARTS:
        return _PARTS[kind](block, scope)
    if kind in _SERVER_CALLS or kind.endswith(_SERVER_RESULT):
        return [server_text(block, {}, scope)]
    scope.note("unknown_block", kind or "untyped")
    plain = {key: value for key, value in block.items() if key != "cache_control"}
    return [_encode(plain).decode()[:UNKNOWN_MAX_CHARS]]


def _text(block: Block) -> str:
    return text_of(block.get("text"))


def _search_result(block: Block) -> str:
    content = block.get("content")
    items = content if isinstance(content, list) else []
    texts = [text_of(item.get("text")) for item in items if isinstance(item, dict)]
    head = [text_of(block.get("title")), text_of(block.get("source"))]
    return "\n".join(filter(None, head + texts))


def _summary(block: Block) -> str:
    return "\n".join(_readable(block.get("content")))


def _tool_reference(block: Block, scope: Scope) -> list[Part]:
    name = text_of(block.get("tool_name"))
    scope.loaded[name] = None
    return [f"[tool available: {upstream_name(name)}]"]


_TEXTS: dict[str, Callable[[Block], str]] = {
    "text": _text,
    "search_result": _search_result,
    "compaction": _summary,
}
_PARTS: dict[str, Callable[[Block, Scope], list[Part]]] = {
    "image": image_parts,
    "document": document_parts,
    "tool_reference": _tool_reference,
}


def assistant_text(block: Block, server_names: dict[str, str], scope: Scope) -> str:
    """The text of an assistant block that is neither a tool_use nor thinking.

    Args:
        block: the block.
        server_names: ids to names of the server tool calls so far; a call adds its own.
        scope: the translation it belongs to.
    """
    read = _TEXTS.get(kind_of(block))
    return server_text(block, server_names, scope) if read is None else read(block)


def server_text(block: Block, names: dict[str, str], scope: Scope) -> str:
    """A call of a tool that ran on Anthropic's side, or its result, in words."""
    kind = kind_of(block)
    if kind in _SERVER_CALLS:
        name = text_of(block.get("name")) or kind
        names[text_of(block.get("id"))] = name
        return f"[{name} called with {_encode(block.get('input')).decode()}]"
    name = names.get(text_of(block.get("tool_use_id"))) or kind.removesuffix(_SERVER_RESULT)
    content = block.get("content")
    for reference in _references(content):
        scope.loaded[reference] = None
    return "\n".join([f"[{name} result]", *_readable(content)])


def _references(content: Any) -> list[str]:
    items = content.get("tool_references") if isinstance(content, dict) else None
    found = items if isinstance(items, list) else []
    return [text_of(item.get("tool_name")) for item in found if isinstance(item, dict)]


def _readable(value: Any) -> list[str]:
    """The titles, addresses and texts in a server tool's result; nothing that is encrypted."""
    match value:
        case str():
            return [value] if value else []
        case list():
            return [text for item in value for text in _readable(item)]
        case dict() if value.get("type") == "base64":
            return []
        case dict():
            own = [value[key] for key in _READABLE if isinstance(value.get(key), str)]
            nested = [value[key] for key in _NESTED if isinstance(value.get(key), (dict, list))]
            inner = value.get("content")
            texts = [inner] if isinstance(inner, str) else []
            return [*filter(None, own + texts), *_readable(nested)]
        case _:
            return []


class ToolResult:
    """What the tool_result blocks for one call say: a string, and what a string can not hold.

    Attributes:
        text: content of the `tool` message; always a string (section 1.4).
        attachments: images and files, each after its label, for the user message that follows.
    """

    __slots__ = ("_counts", "_label", "attachments", "text")

    def __init__(self, results: list[Block], label: str, scope: Scope) -> None:
        """Several results of one call are joined; `label` names the tool for its attachments."""
        self._label = label
        self._counts: dict[str, int] = {}
        self.attachments: list[Part] = []
        self.text = "\n".join(self._read(block, scope) for block in results)

    def _read(self, block: Block, scope: Scope) -> str:
        content = block.get("content")
        text = content if isinstance(content, str) else self._joined(content, scope)
        if is_blank(text):
            text = _NO_OUTPUT
        if block.get("is_error") is True and not _looks_failed(text):
            return f"Error: {text}"
        return text

    def _joined(self, content: Any, scope: Scope) -> str:
        if isinstance(content, dict):
            content = [content]
        texts: list[str] = []
        for item in content if isinstance(content, list) else ():
            if isinstance(item, str):
                texts.append(item)
            elif isinstance(item, dict) and kind_of(item) not in _DROPPED:
                texts += [self._inline(part) for part in user_parts(item, scope)]
        return "\n".join(filter(None, texts))

    def _inline(self, part: Part) -> str:
        """The words for `part`; what is not text is put off to the next message."""
        if isinstance(part, str):
            return part
        kind = _ATTACHMENTS[part["type"]]
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        self.attachments += [f"[{kind} {number} from tool {self._label}]", part]
        return f"[{kind} {number} of this tool result follows in the next message]"


def _looks_failed(text: str) -> bool:
    return text.lstrip()[:_ERROR_LOOK_CHARS].lower().startswith(_ERROR_STARTS)
