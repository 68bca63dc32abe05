"""S05, S06 and section 3.3: the bytes of a stream, however they come."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Serve, streamed
from tests.conformance.grammar import Event
from tests.conformance.vocabulary import (
    DONE,
    chunk,
    counts,
    data,
    delta,
    finish,
    text,
    usage,
)

COMMENT = b": OPENROUTER PROCESSING\n\n"


def without_id(events: list[Event]) -> list[Event]:
    """The events, the message's own id taken out."""
    first = events[0]
    return [first | {"message": first["message"] | {"id": ""}}, *events[1:]]


EVERYTHING = [
    chunk(choices=[{"index": 0, "delta": {"reasoning": "größer 🦊"}}]),
    chunk(choices=[{"index": 0, "delta": {"content": "<think"}}]),
    chunk(choices=[{"index": 0, "delta": {"content": "é \u2028 🦊"}}]),
    chunk(
        choices=[
            {
                "index": 0,
                "delta": {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "a",
                            "function": {"name": "Bash", "arguments": '{"é":'},
                        }
                    ]
                },
            }
        ]
    ),
    chunk(
        choices=[
            {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}}
        ]
    ),
    chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]),
    chunk(choices=[], usage=counts(10, 3)),
    "[DONE]",
]


def written(newline: str) -> bytes:
    return b"".join(data(event, newline) for event in EVERYTHING)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
async def test_any_split_gives_the_same_events_s05(serve: Serve, newline: str) -> None:
    whole = await streamed(serve, written("\n"))
    split = await streamed(serve, *[bytes([byte]) for byte in written(newline)])
    assert without_id(whole.events) == without_id(split.events)
    assert {"é": 1} == split.content[-1]["input"]


async def test_comments_change_nothing_s06(serve: Serve) -> None:
    pieces = [
        delta(role="assistant"),
        delta(content="He"),
        delta(content="llo"),
        finish("stop"),
        usage(),
        DONE,
    ]
    plain = await streamed(serve, *pieces)
    commented = await streamed(serve, COMMENT, *[COMMENT + piece + b":\n" for piece in pieces])
    assert without_id(plain.events) == without_id(commented.events)


LAST = data(chunk(choices=[{"index": 0, "delta": {"content": "llo"}, "finish_reason": "stop"}]))
SPLIT_JSON = b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"Hello"},\ndata: "finish_reason":"stop"}]}\n\n'
HE = delta(content="He")
FORMS: dict[str, list[bytes]] = {
    "byte-order-mark": [b"\xef\xbb\xbf" + HE, LAST, DONE],
    "no-space-after-the-colon": [HE.replace(b"data: ", b"data:"), LAST, b"data:[DONE]\n\n"],
    "several-data-lines": [SPLIT_JSON, DONE],
    "other-fields": [b"id: 7\nretry: 5\nevent: chunk\n" + HE, LAST, DONE],
    "empty-data": [b"data:\n\n", HE, b"data: \n\n", LAST, DONE],
    "blank-lines": [b"\n\n\n", HE, b"\n\n", LAST, b"\n", DONE],
    "spaces-around-done": [HE, LAST, b"data:  [DONE] \n\n"],
    "last-event-without-blank-line": [HE, LAST[:-2]],
    "done-without-blank-line": [HE, LAST, b"data: [DONE]"],
    "what-follows-done": [HE, LAST, DONE, delta(content="!"), b"data: {nonsense\n\n"],
}


@pytest.mark.parametrize("pieces", FORMS.values(), ids=FORMS)
async def test_unusual_forms_are_read(serve: Serve, pieces: list[bytes]) -> None:
    got = await streamed(serve, *pieces)
    assert [text("Hello")] == got.content
    assert "end_turn" == got.message["stop_reason"]


async def test_half_an_event_at_the_end_is_not_read(serve: Serve) -> None:
    got = await streamed(serve, HE, b'data: {"choices":[{"index":0,"del', end="eof")
    assert ["MS", "BS(text)", "BD", "error"] == got.story


async def test_event_without_end_is_a_broken_stream(serve: Serve) -> None:
    mib = 1024 * 1024
    got = await streamed(serve, HE, b"data: ", *[b"x" * mib for _ in range(17)], b"\n\n")
    assert ["MS", "BS(text)", "BD", "error"] == got.story
    assert "api_error" == got.error[1]
