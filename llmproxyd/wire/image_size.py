"""Width and height of an image from the first bytes of its base64 text; the picture stays encoded.

Known: PNG, GIF, JPEG (ITU T.81, annex B: segments up to a start of frame) and WebP (RIFF, its
three kinds of first chunk). A few hundred bytes are enough but for JPEG, where profiles and
thumbnails of up to 64 KiB each may stand in front.
"""

from __future__ import annotations

import binascii

Size = tuple[int, int]

# How much base64 text to decode, in characters; each step only when the one before did not do.
_PREFIXES = (1 << 10, 1 << 16, 1 << 20)

_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = (b"GIF87a", b"GIF89a")
_JPEG = b"\xff\xd8"
_MARKER = 0xFF
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


def image_size(data: str) -> Size | None:
    """Pixels (width, height) of a base64 image, `data:` URL or not; None when they do not show."""
    for prefix in _PREFIXES:
        size = _parse(base64_bytes(data, prefix))
        if size is not None and all(size):
            return size
        if len(data) <= prefix:
            break
    return None


def base64_bytes(data: str, max_chars: int | None = None) -> bytes:
    """The bytes of the first `max_chars` of base64 text; empty when it is not base64.

    Blanks, a `data:…,` head and missing padding are tolerated, as clients send all of them.
    """
    start = data.find(",") + 1 if data.startswith("data:") else 0
    text = data[start:] if max_chars is None else data[start : start + max_chars]
    text = "".join(text.split()).rstrip("=")
    # One character left over carries six bits: no byte, so it can go.
    text = text[:-1] if len(text) % 4 == 1 else text
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _parse(head: bytes) -> Size | None:
    """The size that `head` tells; a side of 0 when it ends too early."""
    if head.startswith(_PNG):
        return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
    if head.startswith(_GIF):
        return _little(head[6:8]), _little(head[8:10])
    if head.startswith(_JPEG):
        return _parse_jpeg(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _parse_webp(head)
    return None


def _parse_jpeg(head: bytes) -> Size | None:
    at = len(_JPEG)
    while at + 9 <= len(head) and head[at] == _MARKER:
        marker = head[at + 1]
        if marker in _START_OF_FRAME:
            return int.from_bytes(head[at + 7 : at + 9]), int.from_bytes(head[at + 5 : at + 7])
        if marker == _MARKER:  # padding before a marker
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None


def _parse_webp(head: bytes) -> Size | None:
    match head[12:16]:
        case b"VP8 ":  # lossy: 14 bits each, the upper two are a scale
            return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF
        case b"VP8L":  # lossless: two fields of 14 bits, minus one
            bits = _little(head[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":  # extended: canvas of 24 bits each, minus one
            return _little(head[24:27]) + 1, _little(head[27:30]) + 1
        case _:
            return None


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
