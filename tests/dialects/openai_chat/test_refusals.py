"""What a target has refused before is left out (section 1.12)."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.refusals import adapted, leave_out
from llmproxyd.spi import Quirks
from tests.dialects.openai_chat.calls import (
    assistant,
    body_of,
    encoded,
    sent,
    thinking,
    tool,
    tool_result,
    tool_use,
    user,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("temperature", {}),
        ("messages.2.reasoning", {"reasoning_in": "drop"}),
        ("messages[2].assistant.reasoning_content", {"reasoning_in": "drop"}),
        ("tools.0.function.strict", {"strict_tools": None}),
        ("stop", {"stop_mode": "proxy"}),
        ("response_format", {"response_format": "none"}),
        ("tool_choice", {"tool_choice": "absent"}),
    ],
)
def test_refusal_changes_the_flag_that_stands_for_it(path, expected):
    quirks = Quirks(reasoning_in="reasoning", strict_tools=True)
    assert quirks.updated(expected) == adapted(quirks, [path])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("top_p", {"model": "m", "stream_options": {"include_usage": True}}),
        ("stream_options.include_usage", {"model": "m", "top_p": 1, "stream_options": {}}),
        ("stream_options", {"model": "m", "top_p": 1}),
        *(
            (path, {"model": "m", "top_p": 1, "stream_options": {"include_usage": True}})
            for path in ("absent", "top_p.x", "model.x.y", "model", "messages", "tools", "stream")
        ),
    ],
)
def test_optional_properties_are_taken_out_and_essential_ones_are_not(path, expected):
    request = {"model": "m", "top_p": 1, "stream_options": {"include_usage": True}}
    leave_out(request, [path])
    assert expected == request


def test_refused_stop_is_matched_by_the_proxy():
    result = encoded(body_of(user("hi"), stop_sequences=["x"]), dropped=("stop",))
    assert b'"stop"' not in result.body
    assert ("x",) == result.proxy_stops


def test_refused_reasoning_is_not_sent_again():
    loop = [user("hi"), assistant(thinking("t"), tool_use("a")), user(tool_result("a"))]
    body = body_of(*loop, tools=[tool()], temperature=1, top_p=0.5)
    request = sent(
        body, flags={"reasoning_in": "reasoning"}, dropped=("messages.1.reasoning", "top_p")
    )
    assert "reasoning" not in request["messages"][1]
    assert 1 == request["temperature"]
    assert "top_p" not in request
