"""Markers are found wherever a client or a translating proxy puts them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.answers import Marker, Talk, scripted
from tests.fakes.anthropic_stub import AnthropicStub
from tests.fakes.chat_completions import ChatCompletionsFake
from tests.fakes.server import FakeServer, Seen

REMINDER = "<system-reminder>\nold [[stub:err]]\n</system-reminder>"
PROMPT = "go [[stub:tool_loop dir=/x]]"
CALL = {"type": "tool_use", "id": "a", "name": "Bash", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "1"}


def marker_in(fake: FakeServer, body: dict[str, Any]) -> Marker | None:
    seen = Seen(1, "POST", "/v1/messages", "", {}, b"", body, "")  # type: ignore[arg-type]
    return fake.talk_of(seen).marker()


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "user", "content": PROMPT}], 0),
        ([{"role": "user", "content": [{"type": "text", "text": REMINDER + PROMPT}]}], None),
        (
            [
                {"role": "user", "content": PROMPT},
                {"role": "assistant", "content": [CALL]},
                {"role": "user", "content": [RESULT, {"type": "text", "text": REMINDER}]},
            ],
            1,
        ),
        (
            [
                {"role": "user", "content": PROMPT},
                {"role": "assistant", "content": "done"},
                {"role": "user", "content": "next"},
            ],
            None,
        ),
    ],
    ids=["typed", "reminder-only", "tool-loop", "spent"],
)
def test_a_marker_is_found_in_messages(
    messages: list[dict[str, Any]], expected: int | None
) -> None:
    found = marker_in(AnthropicStub(), {"messages": messages})
    assert expected == (found.turn if found else None)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "user", "content": f"{REMINDER}\n\n{PROMPT}\n\n{REMINDER}"}], 0),
        (
            [
                {"role": "user", "content": PROMPT},
                {"role": "assistant", "tool_calls": []},
                {"role": "tool", "content": "1"},
                {"role": "user", "content": "note from the client"},
            ],
            1,
        ),
        (
            [
                {"role": "user", "content": "first"},
                {"role": "assistant", "tool_calls": []},
                {"role": "tool", "content": "1"},
                {"role": "user", "content": PROMPT},
            ],
            0,
        ),
        ([{"role": "user", "content": f"{REMINDER}\n\nno script"}], None),
    ],
    ids=["merged", "after-a-tool", "prompt-after-a-tool", "none"],
)
def test_a_marker_is_found_in_a_translated_request(
    messages: list[dict[str, Any]], expected: int | None
) -> None:
    found = marker_in(ChatCompletionsFake(), {"messages": messages})
    assert expected == (found.turn if found else None)


def test_a_script_walks_through_its_turns() -> None:
    names = []
    for turn in range(3):
        answer = scripted(Marker("tool_loop", {}, turn), "/repo")
        names.append([block.get("name") for block in answer.content])
    assert [[None, "Bash"], ["Write"], [None]] == names


def test_an_empty_talk_has_no_marker() -> None:
    assert Talk().marker() is None
