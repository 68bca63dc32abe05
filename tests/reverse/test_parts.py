import pytest

from llmproxyd.errors import BadRequest
from llmproxyd.reverse.fields import Notes
from llmproxyd.reverse.parts import read_parts, read_words, text_blocks
from tests.reverse.chat import PNG, text


def image(url):
    return {"type": "image_url", "image_url": {"url": url}}


def base64_image(media_type, data):
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": media_type, "data": data},
    }


def file(**fields):
    return {"type": "file", "file": fields}


def pdf(**fields):
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
    return {"type": "document", "source": source, **fields}


NO_SOURCE = text("[image omitted: it has no usable source]")


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (text("a"), text("a")),
        ("a", text("a")),
        ({"type": "refusal", "refusal": "no"}, text("no")),
        (image(PNG), base64_image("image/png", "iVBORw0KGgo=")),
        (image("data:image/jpg;base64,A\nA A=\r\n"), base64_image("image/jpeg", "AAA=")),
        (image("DATA:IMAGE/PNG;x=y;BASE64,AAAA"), base64_image("image/png", "AAAA")),
        ({"type": "image_url", "image_url": PNG}, base64_image("image/png", "iVBORw0KGgo=")),
        (
            image("HTTPS://x.test/a.png"),
            {"type": "image", "source": {"type": "url", "url": "HTTPS://x.test/a.png"}},
        ),
        (
            image("data:image/bmp;base64,AAAA"),
            text("[image omitted: image/bmp is not supported]"),
        ),
        (image("data:image/png;base64,"), NO_SOURCE),
        (image("data:image/png,abc"), NO_SOURCE),
        (image("image/png;base64,AAAA"), NO_SOURCE),
        (image("file:///etc/passwd"), NO_SOURCE),
        (image(None), NO_SOURCE),
        ({"type": "image_url"}, NO_SOURCE),
        (
            file(filename="a.pdf", file_data="data:application/pdf;base64,JVBE"),
            pdf(title="a.pdf"),
        ),
        (file(file_data="data:application/pdf;base64,JVBE"), pdf()),
        (file(file_id="file-1"), text("[document omitted: file-1]")),
        (
            file(filename="a.txt", file_data="data:text/plain;base64,AAAA"),
            text("[document omitted: a.txt]"),
        ),
        ({"type": "file"}, text("[document omitted: no name]")),
        (
            {"type": "input_audio", "input_audio": {"data": "A", "format": "wav"}},
            text("[audio omitted: not supported by this backend]"),
        ),
        ({"type": "video", "é": 1}, text('{"type":"video","é":1}')),
        ({"type": ["x"]}, text('{"type":["x"]}')),
    ],
)
def test_part(part, expected):
    assert [expected] == read_parts([part], "content", Notes())


@pytest.mark.parametrize(
    "content", [None, "", " \n", [], [None], [text("")], [text(" ")], [{"type": "text"}], [""]]
)
def test_empty_content_is_dropped(content):
    assert [] == read_parts(content, "content", Notes())


def test_unknown_part_is_cut():
    blocks = read_parts([{"type": "x", "data": "é" * 9000}], "content", Notes())
    assert 4000 == len(blocks[0]["text"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (5, "content: Input should be a string or an array"),
        ({}, "content: Input should be a string or an array"),
        ([text("a"), 5], "content.1: Input should be an object"),
    ],
)
@pytest.mark.parametrize("read", [read_parts, read_words])
def test_malformed_content_is_refused(content, message, read):
    with pytest.raises(BadRequest) as caught:
        read(content, "content", Notes())
    assert message == caught.value.message


@pytest.mark.parametrize(
    ("part", "note"),
    [
        (image(""), "image_omitted"),
        (file(), "document_omitted"),
        ({"type": "input_audio"}, "audio_omitted"),
        ({"type": "x"}, "unknown_part"),
    ],
)
def test_loss_is_noted(part, note):
    notes = Notes()
    read_parts([part], "content", notes)
    assert (note,) == notes.words


def test_words_are_all_that_is_read_of_a_speaker_without_pictures():
    notes = Notes()
    content = [text("a"), image(PNG), "b", {"type": "refusal", "refusal": "c"}]
    assert [text("a"), text("b"), text("c")] == read_words(content, "content", notes)
    assert ("dropped:image_url",) == notes.words


def test_text_blocks():
    assert ([], [], [text(" a ")]) == (text_blocks(""), text_blocks("\t"), text_blocks(" a "))
