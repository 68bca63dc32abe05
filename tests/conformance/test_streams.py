"""S01 to S04, S07, S08, S12, S13, S16: chunks in, events out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import Serve, streamed
from tests.conformance.rig import Answer
from tests.conformance.upstream import End
from tests.conformance.vocabulary import (
    DONE,
    chunk,
    counts,
    data,
    delta,
    finish,
    request,
    sse,
    text,
    tool_delta,
    usage,
)


def deltas(answer: Answer, kind: str) -> list[str]:
    """The pieces of all deltas of a kind."""
    field = {"text_delta": "text", "input_json_delta": "partial_json"}[kind]
    found = [event.get("delta", {}) for event in answer.events]
    return [piece[field] for piece in found if piece.get("type") == kind]


async def test_text_s01(serve: Serve) -> None:
    got = await streamed(
        serve,
        delta(role="assistant"),
        delta(content="He"),
        delta(content="llo"),
        finish("stop"),
        usage(10, 3),
        DONE,
    )
    assert ["MS", "BS(text)", "BD", "BD", "BE", "MD", "ME"] == got.story
    assert ["He", "llo"] == deltas(got, "text_delta")
    assert "end_turn" == got.events[-2]["delta"]["stop_reason"]
    spent = got.events[-2]["usage"]
    assert (10, 3) == (spent["input_tokens"], spent["output_tokens"])
    assert got.events[0]["message"]["usage"]["input_tokens"] > 0


async def test_name_in_pieces_s02(serve: Serve) -> None:
    got = await streamed(
        serve,
        tool_delta(0, "a", "Ba"),
        tool_delta(0, None, "sh"),
        tool_delta(0, arguments='{"co'),
        tool_delta(0, arguments='mmand":1}'),
        finish("tool_calls"),
        DONE,
    )
    assert ["MS", "BS(tool_use)", "BD", "BD", "BE", "MD", "ME"] == got.story
    assert "Bash" == got.content[0]["name"]
    assert '{"command":1}' == "".join(deltas(got, "input_json_delta"))


BASH = ("a", "Bash", {"x": 1})
READ = ("b", "Read", {"y": 2})
CALLS: dict[str, tuple[list[bytes], list[tuple[str, str, Any]]]] = {
    "S03-one-after-the-other": (
        [
            tool_delta(0, "a", "Bash"),
            tool_delta(0, arguments='{"x":1}'),
            tool_delta(1, "b", "Read"),
            tool_delta(1, arguments='{"y":2}'),
        ],
        [BASH, READ],
    ),
    "S03-whole-in-one-delta": (
        [tool_delta(0, "a", "Bash", '{"x":1}'), tool_delta(1, "b", "Read", '{"y":2}')],
        [BASH, READ],
    ),
    "S03-interleaved": (
        [
            tool_delta(0, "a", "Bash", '{"x"'),
            tool_delta(1, "b", "Read", '{"y"'),
            tool_delta(0, arguments=":1}"),
            tool_delta(1, arguments=":2}"),
        ],
        [BASH, READ],
    ),
    "S03-index-zero-again": (
        [tool_delta(0, "a", "Bash", '{"x":1}'), tool_delta(0, "b", "Read", '{"y":2}')],
        [BASH, READ],
    ),
    "S03-no-index": (
        [
            tool_delta(None, "a", "Bash", '{"x"'),
            tool_delta(None, "a", None, ":1}"),
            tool_delta(None, "b", "Read", '{"y":2}'),
        ],
        [BASH, READ],
    ),
    "S03-id-and-name-repeated": (
        [tool_delta(0, "a", "Bash", '{"x"'), tool_delta(0, "a", "Bash", ":1}")],
        [BASH],
    ),
    "S03-new-id-without-name": (
        [tool_delta(0, "a", "Bash", '{"x"'), tool_delta(0, "z", None, ":1}")],
        [BASH],
    ),
    "S03-empty-object-first": (
        [tool_delta(0, "a", "Bash", "{}"), tool_delta(0, arguments='{"x":1}')],
        [BASH],
    ),
    "S03-junk-after-the-object": (
        [tool_delta(0, "a", "Bash", '{"x":1}'), tool_delta(0, arguments="}")],
        [BASH],
    ),
    "S03-text-inside-of-a-call": (
        [
            tool_delta(0, "a", "Bash", '{"x"'),
            delta(content="so"),
            tool_delta(0, arguments=":1}"),
        ],
        [BASH],
    ),
}


@pytest.mark.parametrize(("pieces", "expected"), CALLS.values(), ids=CALLS)
async def test_calls(
    serve: Serve, pieces: list[bytes], expected: list[tuple[str, str, Any]]
) -> None:
    got = await streamed(serve, *pieces, finish("tool_calls"), usage(), DONE)
    calls = [block for block in got.content if block["type"] == "tool_use"]
    assert expected == [(block["id"], block["name"], block["input"]) for block in calls]
    assert "tool_use" == got.message["stop_reason"]


async def test_text_from_inside_of_a_call_comes_after_it(serve: Serve) -> None:
    pieces, _ = CALLS["S03-text-inside-of-a-call"]
    got = await streamed(serve, *pieces, finish("tool_calls"), DONE)
    assert ["tool_use", "text"] == [block["type"] for block in got.content]


@pytest.mark.parametrize("blank", ["\n\n", " ", "\n \t"])
async def test_blank_text_before_a_call_s04(serve: Serve, blank: str) -> None:
    got = await streamed(
        serve, delta(content=blank), tool_delta(0, "a", "Bash", "{}"), finish("tool_calls"), DONE
    )
    assert ["tool_use"] == [block["type"] for block in got.content]


async def test_blank_text_before_text_is_part_of_it(serve: Serve) -> None:
    got = await streamed(serve, delta(content=" "), delta(content="x"), finish("stop"), DONE)
    assert [text(" x")] == got.content


@pytest.mark.parametrize("end", ["whole", "eof"])
async def test_end_without_done_is_clean_after_a_finish_s07(serve: Serve, end: End) -> None:
    got = await streamed(serve, delta(content="x"), finish("stop"), usage(), end=end)
    assert ["MS", "BS(text)", "BD", "BE", "MD", "ME"] == got.story


@pytest.mark.parametrize("end", ["cut", "reset"])
async def test_break_after_a_finish_is_clean_s07(serve: Serve, end: End) -> None:
    got = await streamed(serve, delta(content="x"), finish("stop"), usage(), end=end)
    assert "ME" == got.story[-1]


async def test_end_with_done_is_clean_without_a_finish_s07(serve: Serve) -> None:
    got = await streamed(serve, delta(content="x"), DONE)
    assert "end_turn" == got.message["stop_reason"]


TEXT = [delta(content="x")]
HALF_A_CALL = [tool_delta(0, "a", "Bash", '{"com')]
WHOLE_CALL = [tool_delta(0, "a", "Bash", '{"x":1}')]
BREAKS: dict[str, tuple[list[bytes], list[str]]] = {
    "text": (TEXT, ["MS", "BS(text)", "BD", "error"]),
    "half-a-call": (HALF_A_CALL, ["MS", "BS(tool_use)", "BD", "error"]),
    "thinking": ([delta(reasoning="r")], ["MS", "BS(thinking)", "BD", "error"]),
    "text-then-half-a-call": (
        [*TEXT, *HALF_A_CALL],
        ["MS", "BS(text)", "BD", "BE", "BS(tool_use)", "BD", "error"],
    ),
    "buffered-call": (
        [*HALF_A_CALL, tool_delta(1, "b", "Read", '{"y":2}')],
        ["MS", "BS(tool_use)", "BD", "error"],
    ),
}
WAYS: list[tuple[list[bytes], End, str]] = [
    ([], "whole", "api_error"),
    ([], "eof", "api_error"),
    ([], "cut", "api_error"),
    ([], "reset", "api_error"),
    ([data({"error": {"message": "m", "code": 503}})], "whole", "overloaded_error"),
    ([data({"error": "m"})], "whole", "api_error"),
    ([b'event: error\ndata: {"message": "m"}\n\n'], "whole", "api_error"),
    ([b'error: {"code": 500, "message": "m"}\n\n'], "whole", "api_error"),
    ([b"data: {not json\n\n"], "whole", "api_error"),
    ([finish("error")], "whole", "api_error"),
    ([finish("insufficient_system_resource")], "whole", "overloaded_error"),
]
NAMES = ["end", "eof", "cut", "reset", "s08-error-503", "s08-error-text", "error-event"]
NAMES += ["error-field", "not-json", "finish-error", "finish-resource"]


@pytest.mark.parametrize(("pieces", "story"), BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize(("last", "end", "kind"), WAYS, ids=NAMES)
async def test_broken_stream_never_ends_cleanly_s07_s08(
    serve: Serve, pieces: list[bytes], story: list[str], last: list[bytes], end: End, kind: str
) -> None:
    # What comes after an error must not matter.
    after = [delta(content="late"), DONE] if last else []
    got = await streamed(serve, *pieces, *last, *after, end=end)
    assert story == got.story
    assert (200, kind) == got.error[:2]
    assert got.headers["request-id"] == got.events[-1]["request_id"]


async def test_break_after_a_whole_call_leaves_it_closed_or_open_but_legal(serve: Serve) -> None:
    got = await streamed(serve, *WHOLE_CALL, tool_delta(1, "b", "Read", '{"y"'), end="cut")
    expected = ["MS", "BS(tool_use)", "BD", "BE", "BS(tool_use)", "BD", "error"]
    assert expected == got.story


async def test_error_after_the_finish_is_only_logged(serve: Serve) -> None:
    got = await streamed(serve, *TEXT, finish("stop"), data({"error": {"message": "m"}}))
    assert "ME" == got.story[-1]


@pytest.mark.parametrize("is_last_alone", [True, False])
async def test_last_usage_counts_s12(serve: Serve, *, is_last_alone: bool) -> None:
    def counted(words: str, number: int) -> bytes:
        choice = {"index": 0, "delta": {"content": words}, "finish_reason": None}
        return data(chunk(choices=[choice], usage=counts(10, number)))

    last = [usage(10, 7)] if is_last_alone else [counted("c", 7)]
    got = await streamed(serve, counted("a", 5), counted("b", 6), *last, finish("stop"), DONE)
    assert 7 == got.message["usage"]["output_tokens"]
    assert 10 == got.message["usage"]["input_tokens"]


ZERO = [data(chunk(choices=[], usage=counts(0, 0)))]


@pytest.mark.parametrize("spent", [[], ZERO], ids=["none", "zero"])
async def test_usage_that_is_missing_is_estimated_s12(serve: Serve, spent: list[bytes]) -> None:
    rig = await serve(sse(delta(content="some words"), finish("stop"), *spent, DONE))
    got = await rig.ask(request(stream=True))
    assert got.message["usage"]["input_tokens"] > 0
    assert got.message["usage"]["output_tokens"] > 0
    assert rig.logged("request_finished")[0]["estimated"] is True


async def test_usage_that_is_there_is_not_flagged_s12(serve: Serve) -> None:
    rig = await serve()
    await rig.ask(request(stream=True))
    assert "estimated" not in rig.logged("request_finished")[0]


async def test_thinking_after_text_s13(serve: Serve) -> None:
    got = await streamed(
        serve,
        delta(reasoning="r"),
        delta(content="t"),
        delta(reasoning="r2"),
        finish("stop"),
        DONE,
    )
    expected = [("thinking", "r"), ("text", "t"), ("thinking", "r2")]
    assert expected == [(block["type"], block[block["type"]]) for block in got.content]
    signatures = [block["signature"] for block in got.content if "signature" in block]
    assert 2 == len(set(signatures))


@pytest.mark.parametrize("arguments", [None, "", "{}"])
async def test_call_without_arguments_s16(serve: Serve, arguments: str | None) -> None:
    got = await streamed(
        serve, tool_delta(0, "a", "Bash", arguments), finish("tool_calls"), usage(), DONE
    )
    assert ["MS", "BS(tool_use)", "BE", "MD", "ME"] == [w for w in got.story if w != "BD"]
    assert ("BD" in got.story) <= (arguments == "{}")
    assert "tool_use" == got.message["stop_reason"]
    assert {} == got.content[0]["input"]


async def test_content_beside_a_finish_is_not_lost(serve: Serve) -> None:
    got = await streamed(serve, delta(content="He"), delta("stop", content="llo"), usage(), DONE)
    assert [text("Hello")] == got.content


async def test_other_choices_are_not_read(serve: Serve) -> None:
    other = data(chunk(choices=[{"index": 1, "delta": {"content": "no"}}]))
    got = await streamed(serve, delta(content="x"), other, finish("stop"), DONE)
    assert [text("x")] == got.content


@pytest.mark.parametrize("tags", [["<th", "ink>r</thi", "nk>\n\nans"], list("<think>r</think>ans")])
async def test_tags_split_over_chunks_p08(serve: Serve, tags: list[str]) -> None:
    got = await streamed(serve, *[delta(content=tag) for tag in tags], finish("stop"), DONE)
    assert [("thinking", "r"), ("text", "ans")] == [
        (block["type"], block[block["type"]]) for block in got.content
    ]
