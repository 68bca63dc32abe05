"""Content of a Chat Completions message as Messages blocks.

What Messages can not take becomes a sentence in brackets, never an error: the conversation would
repeat it on every turn and could not go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from llmproxyd.errors import BadRequest
from llmproxyd.reverse.fields import Block, Notes, is_blank, object_of, text_of

_IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_REMOTE: Final = ("http://", "https://")
_PDF: Final = "application/pdf"
_UNKNOWN_MAX_CHARS: Final = 4000
_BLANKS: Final = "\n\r \t"

_encode = msgspec.json.Encoder().encode


def read_parts(content: Any, place: str, notes: Notes) -> list[Block]:
    """The blocks of a message's content: text, an array of parts, or nothing.

    Raises:
        BadRequest: it is none of these.
    """
    if content is None or isinstance(content, str):
        return text_blocks(content or "")
    if not isinstance(content, list):
        raise BadRequest(f"{place}: Input should be a string or an array")
    blocks: list[Block] = []
    for index, part in enumerate(content):
        if isinstance(part, str):
            blocks += text_blocks(part)
        elif isinstance(part, dict):
            read = _PARTS.get(text_of(part.get("type")), _unknown)
            blocks += read(part, notes)
        elif part is not None:
            raise BadRequest(f"{place}.{index}: Input should be an object")
    return blocks


def read_words(content: Any, place: str, notes: Notes) -> list[Block]:
    """The text of content that can hold nothing else: the system's and the assistant's.

    Raises:
        BadRequest: as for `read_parts`.
    """
    if isinstance(content, list):
        content = [None if _is_wordless(part, notes) else part for part in content]
    return read_parts(content, place, notes)


def _is_wordless(part: Any, notes: Notes) -> bool:
    if not isinstance(part, dict) or part.get("type") in ("text", "refusal"):
        return False
    notes.add("dropped", text_of(part.get("type")))
    return True


def text_blocks(text: str) -> list[Block]:
    """A text block; none for blank text, which backends refuse."""
    return [] if is_blank(text) else [{"type": "text", "text": text}]


def _text(part: Block, _notes: Notes) -> list[Block]:
    return text_blocks(text_of(part.get("text")))


def _refusal(part: Block, _notes: Notes) -> list[Block]:
    return text_blocks(text_of(part.get("refusal")))


def _image(part: Block, notes: Notes) -> list[Block]:
    given = part.get("image_url")
    url = text_of(given) or text_of(object_of(given).get("url"))
    if url.lower().startswith(_REMOTE):
        return [{"type": "image", "source": {"type": "url", "url": url}}]
    media_type, data = _inline(url)
    if media_type == "image/jpg":
        media_type = "image/jpeg"
    if media_type in _IMAGE_TYPES and data:
        return [{"type": "image", "source": _base64(media_type, data)}]
    notes.add("image_omitted")
    reason = f"{media_type} is not supported" if media_type and data else "it has no usable source"
    return text_blocks(f"[image omitted: {reason}]")


def _file(part: Block, notes: Notes) -> list[Block]:
    file = object_of(part.get("file"))
    name = text_of(file.get("filename"))
    media_type, data = _inline(text_of(file.get("file_data")))
    if media_type == _PDF and data:
        title = {"title": name} if name else {}
        return [{"type": "document", "source": _base64(_PDF, data), **title}]
    notes.add("document_omitted")
    return text_blocks(f"[document omitted: {name or text_of(file.get('file_id')) or 'no name'}]")


def _audio(_part: Block, notes: Notes) -> list[Block]:
    notes.add("audio_omitted")
    return text_blocks("[audio omitted: not supported by this backend]")


def _unknown(part: Block, notes: Notes) -> list[Block]:
    notes.add("unknown_part")
    return text_blocks(_encode(part).decode()[:_UNKNOWN_MAX_CHARS])


def _inline(uri: str) -> tuple[str, str]:
    """Media type (lower case) and base64 text of a data URI; two empty strings if it is none."""
    head, comma, data = uri.partition(",")
    words = head.lower().removeprefix("data:").split(";")
    if not comma or not head.lower().startswith("data:") or words[-1].strip() != "base64":
        return "", ""
    # a search for each blank is far cheaper than splitting megabytes that hold none
    is_clean = not any(blank in data for blank in _BLANKS)
    return words[0].strip(), data if is_clean else "".join(data.split())


def _base64(media_type: str, data: str) -> Block:
    return {"type": "base64", "media_type": media_type, "data": data}


_PARTS: Final[dict[str, Callable[[Block, Notes], list[Block]]]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "file": _file,
    "input_audio": _audio,
}
