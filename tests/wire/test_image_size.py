import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.wire.image_size import base64_bytes, image_size


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\2\0\0\0"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\xf7\0\0"


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    app0 = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    frame = (
        b"\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width) + b"\3\1\x22\0\2\x11\1\3\x11\1"
    )
    return b"\xff\xd8" + app0 + before + frame


def webp(kind: bytes, payload: bytes) -> bytes:
    return b"RIFF\x99\0\0\0WEBP" + kind + b"\x80\0\0\0" + payload


def segment(size: int) -> bytes:
    return b"\xff\xe2" + struct.pack(">H", size) + b"x" * (size - 2)


IMAGES = {
    "png": png(640, 480),
    "gif": gif(640, 480),
    "jpeg": jpeg(640, 480),
    "jpeg with fill bytes and a restart marker": jpeg(640, 480, b"\xff\xff\xff\x01\xff\xd0"),
    "jpeg behind a thumbnail": jpeg(640, 480, segment(60_000)),
    "jpeg behind several profiles": jpeg(640, 480, segment(65_535) * 5),
    "webp lossy": webp(b"VP8 ", b"\x30\1\0\x9d\1\x2a" + struct.pack("<HH", 640 | 1 << 14, 480)),
    "webp lossless": webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14) + b"\0" * 8),
    "webp extended": webp(b"VP8X", b"\x10\0\0\0" + b"\x7f\2\0" + b"\xdf\1\0"),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_size_is_read_from_the_head(kind: str) -> None:
    data = base64.b64encode(IMAGES[kind] + b"\0" * 50).decode()
    assert (640, 480) == image_size(data)


def test_data_url_blanks_and_missing_padding_are_tolerated() -> None:
    data = base64.b64encode(IMAGES["png"]).decode().rstrip("=")
    assert (640, 480) == image_size("data:image/png;base64," + data[:9] + "\r\n " + data[9:])


@pytest.mark.parametrize(
    "data",
    [
        "",
        "not base64 at all!",
        "größe",
        base64.b64encode(b"BM not a known format").decode(),
        base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(),
        base64.b64encode(png(0, 480)).decode(),
        base64.b64encode(b"\xff\xd8\xff\xe0\0\x02").decode(),
        base64.b64encode(b"\xff\xd8 no marker here, only text").decode(),
        base64.b64encode(webp(b"ALPH", b"\0" * 30)).decode(),
        base64.b64encode(b"\xff\xd8" + segment(60_000) * 20).decode(),
    ],
)
def test_what_does_not_show_its_size_has_none(data: str) -> None:
    assert image_size(data) is None


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=300))
def test_prefix_of_base64_is_a_prefix_of_the_bytes(payload: bytes, chars: int) -> None:
    decoded = base64_bytes(base64.b64encode(payload).decode(), chars)
    assert payload.startswith(decoded)
    assert len(decoded) >= min(len(payload), chars * 3 // 4 - 2)


@given(st.sampled_from(sorted(IMAGES.values())), st.binary(max_size=40), st.integers(0, 60))
def test_garbage_never_raises(image: bytes, garbage: bytes, cut: int) -> None:
    image_size(base64.b64encode(image[:cut] + garbage).decode())
