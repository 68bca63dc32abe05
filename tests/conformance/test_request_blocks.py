"""R07 to R09, R13, R26 and the rest of section 1.4: what becomes of each content block."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.vocabulary import (
    MODEL,
    PNG,
    assistant,
    image,
    request,
    text,
    tool_result,
    tool_use,
    user,
)

DATA_URI = f"data:image/png;base64,{PNG}"
PICTURE = {"type": "image_url", "image_url": {"url": DATA_URI}}
NO_OUTPUT = "(no output)"

RESULTS: dict[str, tuple[dict[str, Any], str]] = {
    "R07-error": (tool_result("a", "boom", is_error=True), "Error: boom"),
    "R07-tool-use-error": (
        tool_result("a", "<tool_use_error>x", is_error=True),
        "<tool_use_error>x",
    ),
    "R07-says-error-itself": (tool_result("a", "ERROR 7", is_error=True), "ERROR 7"),
    "R07-no-error": (tool_result("a", "boom", is_error=False), "boom"),
    "R07-error-in-blocks": (tool_result("a", [text("boom")], is_error=True), "Error: boom"),
    "R09-absent": (tool_result("a"), NO_OUTPUT),
    "R09-empty-text": (tool_result("a", ""), NO_OUTPUT),
    "R09-empty-list": (tool_result("a", []), NO_OUTPUT),
    "R09-blank": (tool_result("a", [text(" \n")]), NO_OUTPUT),
    "1.4-texts": (tool_result("a", [text("x"), text("y")]), "x\ny"),
    "1.4-tool-reference": (
        tool_result("a", [{"type": "tool_reference", "tool_name": "WebFetch"}]),
        "[tool available: WebFetch]",
    ),
}


@pytest.mark.parametrize(("block", "expected"), RESULTS.values(), ids=RESULTS)
async def test_tool_result(serve: Serve, block: dict[str, Any], expected: str) -> None:
    rig = await serve()
    await rig.ask(request(user("hi"), assistant(tool_use("a")), user(block)))
    last = rig.upstream.messages[-1]
    assert {"role": "tool", "tool_call_id": "a", "content": expected} == last


async def test_images_of_tool_results_follow_all_results_r08(serve: Serve) -> None:
    rig = await serve()
    results = user(tool_result("a", [text("t"), image()]), tool_result("b", "2"), "note")
    await rig.ask(
        request(user("hi"), assistant(tool_use("a", name="Read"), tool_use("b")), results)
    )
    first, second, last = rig.upstream.messages[2:]
    placeholder = "[image 1 of this tool result follows in the next message]"
    assert {"role": "tool", "tool_call_id": "a", "content": f"t\n{placeholder}"} == first
    assert {"role": "tool", "tool_call_id": "b", "content": "2"} == second
    label = {"type": "text", "text": "[image 1 from tool Read]"}
    note = {"type": "text", "text": "note"}
    assert {"role": "user", "content": [label, PICTURE, note]} == last


INPUTS: dict[str, tuple[Any, Any]] = {
    "R13-unicode": ({"é": "\u2028", "n": 1}, {"é": "\u2028", "n": 1}),
    "R13-null": (None, {}),
    "R13-text": ("x", {"input": "x"}),
    "R13-object-as-text": ('{"b":1,"a":2}', {"b": 1, "a": 2}),
    "R13-list": ([1], {"input": [1]}),
    "R13-unparsed": (
        {"__unparsedToolInput": {"raw": "{", "len": 1}},
        {"__unparsedToolInput": {"raw": "{", "len": 1}},
    ),
}


@pytest.mark.parametrize(("given", "expected"), INPUTS.values(), ids=INPUTS)
async def test_arguments_are_compact_json_objects(serve: Serve, given: Any, expected: Any) -> None:
    rig = await serve()
    block = {"type": "tool_use", "id": "a", "name": "Bash", "input": given}
    await rig.ask(request(user("hi"), assistant(block), user(tool_result("a", "1"))))
    arguments = rig.upstream.messages[1]["tool_calls"][0]["function"]["arguments"]
    assert expected == json.loads(arguments)
    assert list(expected) == list(json.loads(arguments))
    assert json.dumps(expected, ensure_ascii=False, separators=(",", ":")) == arguments


async def test_call_without_input_has_an_empty_object_r13(serve: Serve) -> None:
    rig = await serve()
    block = {"type": "tool_use", "id": "a", "name": "Bash"}
    await rig.ask(request(user("hi"), assistant(block), user(tool_result("a", "1"))))
    assert "{}" == rig.upstream.messages[1]["tool_calls"][0]["function"]["arguments"]


BLIND: dict[str, dict[str, Any]] = {
    "R26-model-limits": {"limits": {MODEL: {"vision": False}}},
    "R26-quirk": {"quirks": {"vision": False}},
    "R26-media-type": {"quirks": {"image_types": ["image/jpeg"]}},
}


@pytest.mark.parametrize("entry", BLIND.values(), ids=BLIND)
@pytest.mark.parametrize("place", ["prompt", "tool-result"])
async def test_image_for_a_model_that_can_not_see(
    serve: Serve, entry: dict[str, Any], place: str
) -> None:
    rig = await serve(**entry)
    turn = [assistant(tool_use("a")), user(tool_result("a", [image()]))]
    messages = [user("look", image())] if place == "prompt" else [user("hi"), *turn]
    answer = await rig.ask(request(*messages))
    assert 200 == answer.status
    assert b"[image omitted: " in rig.upstream.request.raw
    assert PNG.encode() not in rig.upstream.request.raw


def source(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def document(given: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "document", "source": given, **fields}


PDF = source("base64", media_type="application/pdf", data="JVBERg==")
SEARCH = {"type": "search_result", "title": "T", "source": "s.test", "content": [text("found")]}
# A block of the user's, and texts that must have come of it.
USER_BLOCKS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "image-by-file": (
        {"type": "image", "source": source("file", file_id="f")},
        ["[image omitted: file sources are not available on this backend]"],
    ),
    "document-text": (
        document(source("text", media_type="text/plain", data="words"), title="T"),
        ['<document title="T">\nwords\n</document>'],
    ),
    "document-content": (
        document(source("content", content=[text("words")]), title="T"),
        ['<document title="T">\nwords\n</document>'],
    ),
    "document-pdf": (
        document(PDF, title="T"),
        ['[PDF document "T" omitted: not supported by this backend]'],
    ),
    "document-url": (document(source("url", url="http://d.test/x")), ["[document omitted: "]),
    "document-file": (document(source("file", file_id="f_1")), ["[document omitted: f_1]"]),
    "search-result": (SEARCH, ["T", "s.test", "found"]),
    "unknown-type": ({"type": "hologram", "x": 1}, ['{"type":"hologram","x":1}']),
}


@pytest.mark.parametrize(("block", "texts"), USER_BLOCKS.values(), ids=USER_BLOCKS)
async def test_user_block_that_becomes_text(
    serve: Serve, block: dict[str, Any], texts: list[str]
) -> None:
    rig = await serve()
    await rig.ask(request(user("hi", block)))
    content = rig.upstream.messages[0]["content"]
    assert content.startswith("hi\n\n")
    for words in texts:
        assert words in content


async def test_unknown_user_block_is_cut(serve: Serve) -> None:
    rig = await serve()
    await rig.ask(request(user({"type": "hologram", "x": "y" * 10_000})))
    assert 4000 == len(rig.upstream.messages[0]["content"])


PARTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "image": (image(), PICTURE, {}),
    "image-with-newlines": (image(f"{PNG[:8]}\n {PNG[8:]}\n"), PICTURE, {}),
    "image-with-data-prefix": (image(DATA_URI), PICTURE, {}),
    "image-by-url": (
        {"type": "image", "source": source("url", url="http://i.test/a.png")},
        {"type": "image_url", "image_url": {"url": "http://i.test/a.png"}},
        {},
    ),
    "pdf": (
        document(PDF, title="T.pdf"),
        {
            "type": "file",
            "file": {
                "filename": "T.pdf",
                "file_data": "data:application/pdf;base64,JVBERg==",
            },
        },
        {"pdf": True},
    ),
}


@pytest.mark.parametrize(("block", "part", "quirks"), PARTS.values(), ids=PARTS)
async def test_user_block_that_becomes_a_part(
    serve: Serve, block: dict[str, Any], part: dict[str, Any], quirks: dict[str, Any]
) -> None:
    rig = await serve(quirks=quirks)
    await rig.ask(request(user("x", "y", block)))
    texts = [{"type": "text", "text": words} for words in "xy"]
    assert [*texts, part] == rig.upstream.messages[0]["content"]


async def test_image_of_a_private_address_is_not_fetched(serve: Serve) -> None:
    rig = await serve(quirks={"image_url": "fetch"})
    linked = {"type": "image", "source": source("url", url="http://127.0.0.1:9/a.png")}
    await rig.ask(request(user("look", linked)))
    expected = "look\n\n[image could not be loaded: 127.0.0.1]"
    assert expected == rig.upstream.messages[0]["content"]


DROPPED = ["redacted_thinking", "container_upload", "fallback", "tool_addition", "advisor", "new"]


@pytest.mark.parametrize("kind", DROPPED)
async def test_assistant_block_that_is_dropped(serve: Serve, kind: str) -> None:
    rig = await serve()
    await rig.ask(request(user("hi"), assistant("ok", {"type": kind, "data": "…"}), user("you")))
    assert {"role": "assistant", "content": "ok"} == rig.upstream.messages[1]


async def test_server_tools_of_the_history_become_assistant_text(serve: Serve) -> None:
    rig = await serve()
    found = [{"type": "web_search_result", "title": "T", "url": "u.test", "encrypted_content": "E"}]
    blocks = (
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": found},
    )
    await rig.ask(request(user("hi"), assistant(*blocks), user("you")))
    content = rig.upstream.messages[1]["content"]
    assert '[web_search called with {"query":"q"}]' in content
    assert "[web_search result]\n" in content
    assert "T" in content
    assert "u.test" in content
    assert "encrypted" not in content


async def test_summary_of_a_compaction_stays(serve: Serve) -> None:
    rig = await serve()
    block = {"type": "compaction", "content": "what happened"}
    await rig.ask(request(user("hi"), assistant(block), user("you")))
    assert "what happened" in rig.upstream.messages[1]["content"]
