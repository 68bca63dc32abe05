"""P06 to P08 and sections 2.3 and 2.6: thoughts and counts, whole or streamed."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from tests.conformance.conftest import Build, Serve, answered
from tests.conformance.vocabulary import (
    DONE,
    counts,
    delta,
    finish,
    request,
    sse,
    streamed,
    text,
    usage,
)

SPENT = counts(
    100,
    20,
    prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 10},
    completion_tokens_details={"reasoning_tokens": 5},
)
USAGES: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "P06-details": (
        SPENT,
        {
            "input_tokens": 30,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 10,
            "output_tokens": 20,
        },
    ),
    "P06-deepseek": (
        counts(100, 20, prompt_cache_hit_tokens=40),
        {"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 20},
    ),
    "P06-more-cached-than-there-is": (
        counts(100, 20, prompt_tokens_details={"cached_tokens": 160}),
        {"input_tokens": 0, "cache_read_input_tokens": 100, "output_tokens": 20},
    ),
    "P06-total-only": (
        {"prompt_tokens": 100, "completion_tokens": None, "total_tokens": 120},
        {"input_tokens": 100, "output_tokens": 20},
    ),
}


@pytest.mark.parametrize(("given", "expected"), USAGES.values(), ids=USAGES)
async def test_usage(
    serve: Serve,
    build: Build,
    given: dict[str, Any],
    expected: dict[str, int],
    *,
    streams: bool,
) -> None:
    got = await answered(serve, build({"content": "x"}, "stop", given), streams=streams)
    spent = got.message["usage"]
    assert expected == {name: spent[name] for name in expected}
    if given is SPENT:
        assert 5 == spent["output_tokens_details"]["thinking_tokens"]


def thought(words: str) -> dict[str, Any]:
    digest = base64.urlsafe_b64encode(hashlib.sha256(words.encode()).digest()[:12]).decode()
    return {"type": "thinking", "thinking": words, "signature": f"llmproxyd.{digest}"}


TAGS = "<think>r</think>\n\nans"
# Fields of the upstream message to the blocks.
THOUGHTS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "P07-two-fields": (
        {"reasoning": "abc", "reasoning_content": "abc", "content": "x"},
        [thought("abc"), text("x")],
    ),
    "P07-object": ({"reasoning": {"content": "abc"}, "content": "x"}, [thought("abc"), text("x")]),
    "P07-details": (
        {"reasoning_details": [{"text": "abc"}], "content": "x"},
        [thought("abc"), text("x")],
    ),
    "P07-blocks": (
        {"thinking_blocks": [{"type": "thinking", "thinking": "abc"}], "content": "x"},
        [thought("abc"), text("x")],
    ),
    "P08-tags": ({"content": TAGS}, [thought("r"), text("ans")]),
    "P08-later-tag": ({"content": "use <think> tags"}, [text("use <think> tags")]),
    "P08-tag-in-the-answer": (
        {"content": "<think>r</think>a <think> b"},
        [thought("r"), text("a <think> b")],
    ),
    "2.2-parts": (
        {"content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]},
        [text("xy")],
    ),
    "2.2-leading-newlines": ({"content": "\n\nx\n"}, [text("x\n")]),
}


@pytest.mark.parametrize(("message", "blocks"), THOUGHTS.values(), ids=THOUGHTS)
async def test_thinking_and_text(
    serve: Serve,
    build: Build,
    message: dict[str, Any],
    blocks: list[dict[str, Any]],
    *,
    streams: bool,
) -> None:
    both = {"reasoning", "reasoning_content"} <= set(message)
    if both and build is streamed:  # both fields stand in one chunk
        spoken = {key: value for key, value in message.items() if key != "content"}
        reply = sse(delta(**spoken), delta(content="x"), finish("stop"), usage(), DONE)
    else:
        reply = build(message)
    assert blocks == (await answered(serve, reply, streams=streams)).content


@pytest.mark.parametrize("given", [None, {"type": "disabled"}], ids=["absent", "disabled"])
async def test_thinking_that_nobody_asked_for_is_dropped(
    serve: Serve, build: Build, given: Any, *, streams: bool
) -> None:
    rig = await serve(build({"reasoning": "r", "content": "x"}))
    fields = {} if given is None else {"thinking": given}
    got = await rig.ask(request(stream=streams, **fields))
    assert [text("x")] == got.content


async def test_omitted_thinking_is_a_signature_only(
    serve: Serve, build: Build, *, streams: bool
) -> None:
    rig = await serve(build({"reasoning": "r", "content": "x"}))
    thinking = {"type": "adaptive", "display": "omitted"}
    got = await rig.ask(request(stream=streams, thinking=thinking))
    assert [thought("r") | {"thinking": ""}, text("x")] == got.content
