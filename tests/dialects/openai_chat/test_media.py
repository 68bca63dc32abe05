"""Images and documents (section 1.4)."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.media import document_parts, image_parts, remote_images
from llmproxyd.dialects.openai_chat.scope import Scope
from llmproxyd.spi import Quirks
from tests.dialects.openai_chat.calls import (
    PIXEL,
    body_of,
    image,
    image_at,
    image_part,
    text,
    tool_result,
    user,
)

URL = "https://host.example/a.png"
DATA_URI = f"data:image/png;base64,{PIXEL}"


def scope(images=None, **flags):
    return Scope(Quirks(**flags), images or {})


def source(**fields):
    return {"type": "image", "source": fields}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (image(), image_part()),
        (image(f"{PIXEL[:4]}\r\n{PIXEL[4:]} \t"), image_part()),
        (image(DATA_URI), image_part()),
        (image(media_type="IMAGE/PNG"), image_part()),
        (image(media_type="image/jpg"), image_part(media_type="image/jpeg")),
        (image_at(URL), {"type": "image_url", "image_url": {"url": URL}}),
        (image_at(DATA_URI), image_part()),
    ],
)
def test_images_become_image_urls(block, expected):
    assert [expected] == image_parts(block, scope())


@pytest.mark.parametrize(
    ("block", "flags", "reason"),
    [
        (image(), {"vision": False}, "this model does not take images"),
        (image(media_type="image/bmp"), {}, "image/bmp is not supported by this backend"),
        (image_at("data:image/bmp;base64,xx"), {}, "image/bmp is not supported by this backend"),
        (
            source(type="base64", data=PIXEL),
            {},
            "an image without a type is not supported by this backend",
        ),
        (image(""), {}, "it is empty"),
        (
            source(type="file", file_id="f"),
            {},
            "file sources are not available on this backend",
        ),
        (source(type="odd"), {}, "its source is of an unknown kind"),
        (source(type="url"), {}, "it has no source"),
        ({"type": "image", "source": None}, {}, "it has no source"),
    ],
)
def test_images_that_can_not_be_sent_become_words(block, flags, reason):
    here = scope(**flags)
    assert [f"[image omitted: {reason}]"] == image_parts(block, here)
    assert ("image_omitted",) == here.notes


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ({URL: DATA_URI}, image_part()),
        ({URL: None}, "[image could not be loaded: host.example]"),
        ({}, "[image could not be loaded: host.example]"),
        (
            {URL: "data:text/html;base64,xx"},
            "[image omitted: text/html is not supported by this backend]",
        ),
    ],
)
def test_linked_images_are_put_in_where_the_backend_can_not_fetch(images, expected):
    assert [expected] == image_parts(image_at(URL), scope(images, image_url="fetch"))


@pytest.mark.parametrize("url", ["http://[bad", "ftp:", ""])
def test_bad_url_does_not_stop_the_request(url):
    expected = ["[image could not be loaded: no host]"]
    assert expected == image_parts(image_at(url), scope(image_url="fetch"))


def document(title=None, context=None, **fields):
    block = {"type": "document", "source": fields, "title": title, "context": context}
    return {key: value for key, value in block.items() if value is not None}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (document(type="text", data="d"), ["<document>\nd\n</document>"]),
        (
            document('T "1"', "C", type="text", data="d"),
            ['<document title="T &quot;1&quot;">\nC\nd\n</document>'],
        ),
        (document(type="content", content="d"), ["<document>\nd\n</document>"]),
        (
            document(type="content", content=[text("a"), image(), None, text("b")]),
            ["<document>\na\nb\n</document>", image_part()],
        ),
        (document(type="content"), ["<document>\n</document>"]),
        (
            document("T", type="base64", media_type="application/pdf", data="x"),
            ['[PDF document "T" omitted: not supported by this backend]'],
        ),
        (document(type="base64", media_type="text/odd"), ["[document omitted: text/odd]"]),
        (document(type="url", url="http://h/d.pdf"), ["[document omitted: http://h/d.pdf]"]),
        (document(type="file", file_id="f1"), ["[document omitted: f1]"]),
        (document(type="odd"), ["[document omitted: its source is of an unknown kind]"]),
        ({"type": "document"}, ["[document omitted: its source is of an unknown kind]"]),
    ],
)
def test_documents_become_text(block, expected):
    assert expected == document_parts(block, scope())


@pytest.mark.parametrize("data", ["JV\nBE", "JVBE", "data:application/pdf;base64,JVBE"])
def test_pdf_is_sent_as_a_file_where_the_backend_reads_it(data):
    block = document("T", type="base64", media_type="application/pdf", data=data)
    file = {"filename": "T", "file_data": "data:application/pdf;base64,JVBE"}
    assert [{"type": "file", "file": file}] == document_parts(block, scope(pdf=True))


def test_remote_images_are_listed_once_wherever_they_stand():
    inner = document(type="content", content=[image_at("http://h/3")])
    body = body_of(
        user(image_at("http://h/1"), image_at("http://h/1"), image(), image_at("data:x")),
        user(tool_result("a", [image_at("https://h/2"), None]), inner, text("x")),
    )
    assert ["http://h/1", "https://h/2", "http://h/3"] == remote_images(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": "x"},
        {"messages": [None, {"content": "x"}, {"content": [{"type": "image", "source": 5}]}]},
        {"messages": [{"content": [image_at(5), image_at("file:///etc/passwd")]}]},
    ],
)
def test_no_remote_images_in_a_body_without_them(body):
    assert [] == remote_images(body)
