"""Token estimates without a tokenizer (translation spec, section 5: the heuristic).

Right to about a quarter, and to a few per cent once calibrated per model (`ledger/calibration`).
It runs on every translated request, so nothing here looks at single characters: a string knows
whether it is ASCII, JSON is measured by encoding it, and the rest is counted by
`bytes.translate`. A 97 kB request takes well under 0.3 ms, 2 MB a few milliseconds.

The body is counted as a translating dialect would send it: the billing line of the system prompt,
tools that wait for a tool search, and thinking of earlier turns do not go upstream.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from llmproxyd.wire.image_size import base64_bytes, image_size

_encode = msgspec.json.Encoder().encode

_PROSE = 4.0  # ASCII characters a token
_DENSE = 3.3  # the same where punctuation rules: JSON, code, tool output
_PER_CJK_CHAR = 0.9
_PER_OTHER_BYTE = 0.5
_PER_MESSAGE = 4
_PER_TOOL = 8
_PER_REQUEST = 3
_IMAGE_MAX = 1600
_PIXELS_A_TOKEN = 750
_PDF_PAGE = 1800
_PDF_BYTES_A_TOKEN = 50
_OMITTED = 12  # the words that stand in for what is not sent
_PDF_READ_MAX_CHARS = 1 << 20  # page counting reads the whole file: only up to this size
_UNKNOWN_BLOCK_MAX = 4000  # characters of an unknown block that translation keeps (section 1.4)

_BILLING_LINE = "x-anthropic-billing-header:"
_REMINDER = "<system-reminder>"
_SEARCH_TOOL = "ToolSearch"
_PLACEHOLDER_TOOL = "DeferredToolPlaceholder"

_NON_ASCII = bytes(range(0x80, 0x100))
# First bytes of UTF-8 sequences of U+3000 to U+DFFF (CJK, Kana, Hangul) and U+F000 to U+FFFF
# (compatibility and full-width forms). A few rare scripts share them; emoji do not.
_NOT_CJK_LEAD = bytes(sorted(set(range(0x100)) - {*range(0xE3, 0xEE), 0xEF}))
_CJK_BYTES = 3


def estimate_text_tokens(text: str) -> int:
    """Tokens of plain text."""
    return _ceil(_text(text, _PROSE))


def estimate_output_tokens(texts: Iterable[str], tool_inputs: Iterable[str] = ()) -> int:
    """Tokens of an answer whose backend did not count them.

    Args:
        texts: pieces of text and thinking.
        tool_inputs: pieces of tool arguments, as JSON text.
    """
    prose = sum(_text(text, _PROSE) for text in texts)
    return _ceil(prose + sum(_text(text, _DENSE) for text in tool_inputs))


def estimate_prompt_tokens(
    body: dict[str, Any], *, has_vision: bool = True, reads_pdf: bool = True
) -> int:
    """Tokens of a decoded Messages body: system, messages and tools; never raises on odd shapes.

    Args:
        body: the request; not changed.
        has_vision: images are sent; otherwise they cost only the words that replace them.
        reads_pdf: PDF documents are sent as files.
    """
    counter = _Counter(has_vision=has_vision, reads_pdf=reads_pdf)
    total = counter.blocks(body.get("system"), _PROSE) + counter.messages(body.get("messages"))
    return _ceil(total + counter.tools(body.get("tools")) + _PER_REQUEST)


class _Counter:
    """One walk over one body."""

    def __init__(self, *, has_vision: bool, reads_pdf: bool) -> None:
        self._has_vision = has_vision
        self._reads_pdf = reads_pdf
        self._thinking = 0.0  # of the running turn only (section 1.9)
        self._references: set[str] = set()  # deferred tools that a search has loaded

    def messages(self, messages: Any) -> float:
        """All messages; the thinking of the last turn included."""
        total = 0.0
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, dict):
                content = message.get("content")
                if message.get("role") == "user" and _is_new_turn(content):
                    self._thinking = 0.0
                total += _PER_MESSAGE + self.blocks(content, _PROSE)
        return total + self._thinking

    def tools(self, tools: Any) -> float:
        """Tools that go upstream; call it after `messages`, which finds the loaded ones."""
        known = (
            [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
        )
        can_search = any(tool.get("name") == _SEARCH_TOOL for tool in known)
        sent = [
            (tool.get("name"), tool.get("description"), tool.get("input_schema"))
            for tool in known
            if tool.get("name") != _PLACEHOLDER_TOOL
            and (not (can_search and tool.get("defer_loading")) or self._is_loaded(tool))
        ]
        return _PER_TOOL * len(sent) + _bytes(_encode(sent), _DENSE) if sent else 0.0

    def _is_loaded(self, tool: dict[str, Any]) -> bool:
        """A search has named this deferred tool (spec, corrections, 1)."""
        return _string(tool.get("name")) in self._references

    def blocks(self, content: Any, rate: float) -> float:
        """`content` of a message, tool result, document or system prompt.

        Args:
            content: a string, a list of blocks, or anything else (counts nothing).
            rate: ASCII characters a token of its plain text.
        """
        if isinstance(content, str):
            return _text(content, rate)
        if not isinstance(content, list):
            return 0.0
        return sum(self._block(block, rate) for block in content if isinstance(block, dict))

    def _block(self, block: dict[str, Any], rate: float) -> float:
        match block.get("type"):
            case "text":
                text = _string(block.get("text"))
                return 0.0 if text.startswith(_BILLING_LINE) else _text(text, rate)
            case "tool_use":
                sent = [block.get("name"), block.get("input")]
                return _bytes(_encode(sent), _DENSE)
            case "tool_result":
                return self.blocks(block.get("content"), _DENSE)
            case "thinking":
                self._thinking += _text(_string(block.get("thinking")), _PROSE)
                return 0.0
            case "image":
                return self._image(block.get("source"))
            case kind:
                return self._rare_block(kind, block)

    def _rare_block(self, kind: Any, block: dict[str, Any]) -> float:
        match kind:
            case "document":
                return self._document(block)
            case "search_result":
                head = _text(_string(block.get("title")) + _string(block.get("source")), _PROSE)
                return head + self.blocks(block.get("content"), _PROSE)
            case "tool_reference":
                name = _string(block.get("tool_name"))
                self._references.add(name)
                return _text(f"[tool available: {name}]", _PROSE)
            case "redacted_thinking":
                return 0.0
            case _:
                return _bytes(_encode(block)[:_UNKNOWN_BLOCK_MAX], _DENSE)

    def _image(self, source: Any) -> float:
        if not self._has_vision:
            return _OMITTED
        data = _string(source.get("data")) if isinstance(source, dict) else ""
        size = image_size(data)
        if size is None:
            return _IMAGE_MAX
        return min(_IMAGE_MAX, math.ceil(size[0] * size[1] / _PIXELS_A_TOKEN))

    def _document(self, block: dict[str, Any]) -> float:
        source = block.get("source")
        if not isinstance(source, dict):
            return 0.0
        head = _text(_string(block.get("title")) + _string(block.get("context")), _PROSE)
        match source.get("type"):
            case "text":
                return head + _text(_string(source.get("data")), _PROSE)
            case "content":
                return head + self.blocks(source.get("content"), _PROSE)
            case _ if not self._reads_pdf:
                return head + _OMITTED
            case "base64":
                return head + _pdf(_string(source.get("data")))
            case _:
                return head + _PDF_PAGE


def _is_new_turn(content: Any) -> bool:
    """True for real user text: not tool results, not what the client wraps as a reminder."""
    if isinstance(content, str):
        return not content.startswith(_REMINDER)
    return isinstance(content, list) and any(
        isinstance(block, dict)
        and block.get("type") == "text"
        and not _string(block.get("text")).startswith(_REMINDER)
        for block in content
    )


def _pdf(data: str) -> float:
    """A PDF by its pages, or by its size when it is big or its page objects are compressed."""
    pages = 0
    if len(data) <= _PDF_READ_MAX_CHARS:
        file = base64_bytes(data)
        pages = file.count(b"/Type /Page") + file.count(b"/Type/Page")
        pages -= file.count(b"/Type /Pages") + file.count(b"/Type/Pages")
    return pages * _PDF_PAGE if pages > 0 else len(data) * 3 / 4 / _PDF_BYTES_A_TOKEN


def _text(text: str, rate: float) -> float:
    if text.isascii():
        return len(text) / rate
    return _bytes(text.encode("utf-8", "replace"), rate)


def _bytes(data: bytes, rate: float) -> float:
    """Tokens of UTF-8 text: ASCII by `rate`, CJK by the character, the rest by the byte."""
    if data.isascii():
        return len(data) / rate
    ascii_bytes = len(data.translate(None, _NON_ASCII))
    cjk_chars = len(data.translate(None, _NOT_CJK_LEAD))
    other_bytes = max(0, len(data) - ascii_bytes - cjk_chars * _CJK_BYTES)
    return ascii_bytes / rate + cjk_chars * _PER_CJK_CHAR + other_bytes * _PER_OTHER_BYTE


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _ceil(tokens: float) -> int:
    """Round up, but not for the sake of a float's last digit (33 / 3.3 > 10)."""
    return math.ceil(tokens - 1e-6)
