"""What holds for every request that the official SDK's types allow."""

from __future__ import annotations

import copy
import json
from typing import Any

from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmproxyd.dialects.anthropic.dialect import Anthropic
from llmproxyd.dialects.openai_chat.request import encode_body
from tests.dialects.anthropic import calls as messages_calls
from tests.dialects.openai_chat.calls import (
    assistant,
    call_of,
    encoded,
    sent,
    text,
    tool_result,
    tool_use,
    user,
)
from tests.dialects.openai_chat.chat_checker import problems
from tests.dialects.openai_chat.sdk_types import values_of
from tests.dialects.openai_chat.test_request_properties import PROVIDERS

DOORS = {
    "stable": message_create_params.MessageCreateParamsBase,
    "beta": beta_params.MessageCreateParamsBase,
}
EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TOOL = {"name": "Write", "description": "Write.", "input_schema": {"type": "object"}}


def translatable(body: dict[str, Any]) -> dict[str, Any]:
    """`body` without the few things that the spec refuses on a translated route.

    A turn of the user comes first, there is a tool of the client's own, a forced tool exists,
    and no MCP servers are asked for (sections 1.1, 1.5 and 1.6).
    """
    body = {name: value for name, value in body.items() if name != "mcp_servers"}
    body["messages"] = [user("start"), *body["messages"]]
    body["tools"] = [*body.get("tools", ()), TOOL]
    if body.get("tool_choice", {}).get("type") == "tool":
        body["tool_choice"] = {**body["tool_choice"], "name": TOOL["name"]}
    return body


requests = st.one_of([values_of(kind) for kind in DOORS.values()]).map(translatable)


@EXAMPLES
@given(requests, PROVIDERS)
def test_every_request_of_the_sdk_becomes_a_valid_one(body: Any, flags: Any) -> None:
    assert [] == problems(sent(body, flags=flags))


@EXAMPLES
@given(requests, PROVIDERS)
def test_translation_changes_nothing_it_was_given(body: Any, flags: Any) -> None:
    before = copy.deepcopy(body)
    encode_body(call_of(body, flags=flags), body)
    assert before == body


@EXAMPLES
@given(requests, PROVIDERS.filter(lambda flags: flags.get("mid_system") != "hoist"))
def test_r28_same_history_goes_up_in_the_same_bytes(body: Any, flags: Any) -> None:
    flags = {**flags, "reasoning_in": "drop"}
    now = {**body, "messages": [*body["messages"], user("go on")]}
    turn = [assistant(text("done"), tool_use("new", "Write")), user(tool_result("new"))]
    later = {**body, "messages": [*now["messages"], *turn]}
    before, after = (prefix(encoded(each, flags=flags).body) for each in (now, later))
    assert after.startswith(before)


def prefix(body: bytes) -> bytes:
    """What comes first in a prompt, as a cache sees it: tools, then the messages, not closed."""
    members = json.loads(body)
    tools, messages = (
        json.dumps(members.get(name, []), ensure_ascii=False, separators=(",", ":")).encode()
        for name in ("tools", "messages")
    )
    assert messages[1:-1] in body
    return tools + messages[:-1]


@EXAMPLES
@given(requests)
def test_every_request_of_the_sdk_passes_a_messages_backend_byte_for_byte(body: Any) -> None:
    raw = json.dumps(body).encode()
    request = Anthropic().exchange(messages_calls.make_call(raw)).request
    if b"llmproxyd." not in raw and b'"signature": ""' not in raw:
        assert raw == request.body
