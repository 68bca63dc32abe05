"""Content blocks, one by one (section 1.4)."""

from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.openai_chat.blocks import (
    UNKNOWN_MAX_CHARS,
    ToolResult,
    assistant_text,
    is_kept,
    server_text,
    user_parts,
)
from llmproxyd.dialects.openai_chat.scope import Scope
from llmproxyd.spi import Quirks
from tests.dialects.openai_chat.calls import image, image_part, text, tool_result

PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
}
FOLLOWS = "of this tool result follows in the next message]"


def scope(**flags):
    return Scope(Quirks(**flags), {})


SEARCH_RESULT = {
    "type": "search_result",
    "title": "T",
    "source": "http://s",
    "content": [text("one"), text("two"), 5],
    "citations": {"enabled": True},
}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({**text("a"), "citations": [{}], "cache_control": {}}, ["a"]),
        (image(), [image_part()]),
        (SEARCH_RESULT, ["T\nhttp://s\none\ntwo"]),
        ({"type": "search_result", "title": "T", "content": "x"}, ["T"]),
        ({"type": "compaction", "content": "summary"}, ["summary"]),
        ({"type": "compaction", "content": [text("a"), text("b")]}, ["a\nb"]),
        ({"type": "tool_reference", "tool_name": "WebFetch"}, ["[tool available: WebFetch]"]),
        ({"type": "odd", "v": 1, "cache_control": {}}, ['{"type":"odd","v":1}']),
        ({"type": "mcp_tool_result", "content": "r"}, ["[mcp result]\nr"]),
    ],
)
def test_user_blocks_become_parts(block, expected):
    assert expected == user_parts(block, scope())


def test_unknown_block_is_cut():
    (part,) = user_parts({"type": "odd", "v": "x" * 9000}, scope())
    assert UNKNOWN_MAX_CHARS == len(part)


@pytest.mark.parametrize(
    ("role", "block", "expected"),
    [
        ("user", text("a"), True),
        ("user", text(" "), False),
        ("user", image(), True),
        ("user", tool_result("a"), True),
        ("user", {"type": "thinking", "thinking": "t"}, False),
        ("user", {"type": "odd"}, True),
        ("user", {}, True),
        ("user", {"type": ["list"]}, True),
        ("user", {"type": "search_result"}, False),
        ("user", {"type": "compaction", "content": None}, False),
        ("assistant", text("a"), True),
        ("assistant", {"type": "thinking", "thinking": ""}, True),
        ("assistant", image(), False),
        ("assistant", tool_result("a"), False),
        ("assistant", SEARCH_RESULT, False),
        ("assistant", {"type": "odd"}, False),
        ("assistant", {"type": "mcp_tool_use", "name": "n"}, True),
        ("assistant", {"type": "web_fetch_tool_result"}, True),
        ("assistant", {"type": "compaction", "content": "s"}, True),
        *(
            (role, {"type": kind}, False)
            for role in ("user", "assistant")
            for kind in (
                *("redacted_thinking", "container_upload", "fallback", "tool_addition"),
                *("tool_removal", "mcp_tool_listing", "advisor", "advisor_tool_result"),
            )
        ),
    ],
)
def test_blocks_that_mean_nothing_upstream_are_dropped(role, block, expected):
    assert expected is is_kept(block, role, scope())


def test_dropped_and_unknown_blocks_are_noted_by_type():
    here = scope()
    is_kept({"type": "redacted_thinking"}, "user", here)
    is_kept({"type": "my secret text"}, "assistant", here)
    user_parts({"type": "odd"}, here)
    user_parts({}, here)
    assert (
        *("dropped_block:redacted_thinking", "dropped_block:unnamed"),
        *("unknown_block:odd", "unknown_block:untyped"),
    ) == here.notes


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"title": "T", "url": "u", "encrypted_content": "E", "page_age": "1d"}], "T\nu"),
        ({"type": "web_search_tool_result_error", "error_code": "max_uses"}, "max_uses"),
        (
            {
                "url": "u",
                "content": {
                    "type": "document",
                    "title": "T",
                    "source": {"type": "text", "media_type": "text/plain", "data": "page"},
                },
            },
            "u\nT\npage",
        ),
        ({"content": {"source": {"type": "base64", "data": "JVBE"}}, "url": "u"}, "u"),
        ({"stdout": "out", "stderr": "err", "return_code": 0, "content": []}, "out\nerr"),
        ({"type": "x", "content": "inner"}, "inner"),
        ([text("a"), text("b")], "a\nb"),
        ("plain", "plain"),
    ],
)
def test_server_tool_results_are_told_in_readable_words(content, expected):
    block = {"type": "web_fetch_tool_result", "tool_use_id": "s", "content": content}
    assert f"[fetch result]\n{expected}" == server_text(block, {"s": "fetch"}, scope())


def test_result_of_an_unknown_server_call_is_named_by_its_type():
    block = {"type": "web_search_tool_result", "tool_use_id": "s", "content": None}
    assert "[web_search result]" == server_text(block, {}, scope())


def test_server_call_without_name_is_named_by_its_type():
    assert "[mcp_tool_use called with null]" == server_text({"type": "mcp_tool_use"}, {}, scope())


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_reference", "tool_name": "A"},
        {
            "type": "tool_search_tool_result",
            "content": {"tool_references": [{"type": "tool_reference", "tool_name": "A"}, 5]},
        },
    ],
)
def test_tool_references_load_their_tool(block):
    here = scope()
    user_parts(block, here)
    assert ["A"] == list(here.loaded)


def test_assistant_compaction_is_its_summary():
    assert "s" == assistant_text({"type": "compaction", "content": "s"}, {}, scope())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text", "text"),
        ([text("a"), text("b")], "a\nb"),
        (["a", text("b"), None, 5], "a\nb"),
        (text("a"), "a"),
        ([{"type": "tool_reference", "tool_name": "A"}], "[tool available: A]"),
        ([{"type": "redacted_thinking", "data": "x"}], "(no output)"),
        ([SEARCH_RESULT], "T\nhttp://s\none\ntwo"),
        ([PDF], '[PDF document "document.pdf" omitted: not supported by this backend]'),
    ],
)
def test_result_content_is_one_string(content, expected):
    result = ToolResult([tool_result("a", content)], "Read", scope())
    assert (expected, []) == (result.text, result.attachments)


def test_attachments_are_numbered_by_kind_and_follow_with_their_labels():
    results = [tool_result("a", [image(), text("t"), PDF]), tool_result("a", [image()])]
    result = ToolResult(results, "Read", scope(pdf=True))
    assert f"[image 1 {FOLLOWS}\nt\n[document 1 {FOLLOWS}\n[image 2 {FOLLOWS}" == result.text
    file = {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"}
    assert [
        *("[image 1 from tool Read]", image_part()),
        *("[document 1 from tool Read]", {"type": "file", "file": file}),
        *("[image 2 from tool Read]", image_part()),
    ] == result.attachments


def test_unknown_block_in_a_result_is_kept_as_json():
    result = ToolResult([tool_result("a", [{"type": "odd", "v": "é"}])], "Read", scope())
    assert {"type": "odd", "v": "é"} == json.loads(result.text)
