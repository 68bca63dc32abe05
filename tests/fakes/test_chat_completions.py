"""The fake is held against Cerebras' own SDK: what it says must be what that SDK reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from cerebras.cloud import sdk
from cerebras.cloud.sdk.types.chat.chat_completion import (
    ChatChunkResponse,
    ChatCompletionResponse,
    ErrorChunkResponse,
)
from pydantic import BaseModel

from tests.fakes.answers import Answer, ErrorAnswer, text, thinking, tool
from tests.fakes.chat_completions import ChatCompletionsFake, chunks, completion
from tests.fakes.chat_schema import problems_of

BODY: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hi"}],
    "tools": [{"type": "function", "function": {"name": "Bash", "parameters": {}}}],
}
RICH = Answer(
    content=(thinking("hm"), text("yes"), tool("Bash", command="ls"), tool("Bash", command="pwd"))
)


@pytest.fixture
async def fake() -> AsyncIterator[ChatCompletionsFake]:
    async with ChatCompletionsFake() as server:
        yield server


@pytest.fixture
async def client(fake: ChatCompletionsFake) -> AsyncIterator[sdk.AsyncCerebras]:
    async with sdk.AsyncCerebras(
        api_key="k", base_url=fake.url, max_retries=0, warm_tcp_connection=False
    ) as made:
        yield made


def unknown_fields(value: Any) -> list[str]:
    """Names of fields that an SDK model met without knowing them."""
    if isinstance(value, list):
        return [name for item in value for name in unknown_fields(item)]
    if not isinstance(value, BaseModel):
        return []
    inner = [getattr(value, name) for name in type(value).model_fields]
    return [*(value.model_extra or {}), *unknown_fields(inner)]


def strict(kind: type[BaseModel], data: dict[str, Any]) -> BaseModel:
    """`data` as a type of the SDK, every field of the right type."""
    return kind.model_validate(data, strict=True)


def test_a_whole_answer_has_only_fields_that_the_sdk_knows() -> None:
    whole = strict(ChatCompletionResponse, completion(RICH, BODY))
    assert [] == unknown_fields(whole)


@pytest.mark.parametrize("apart", [False, True], ids=["usage-on-finish", "usage-apart"])
def test_a_chunk_has_only_fields_that_the_sdk_knows(apart: bool) -> None:
    for chunk in chunks(RICH, BODY, apart=apart):
        assert [] == unknown_fields(strict(ChatChunkResponse, chunk))


async def test_a_streamed_answer_is_read_by_the_sdk(
    fake: ChatCompletionsFake, client: sdk.AsyncCerebras
) -> None:
    fake.rule(RICH)
    stream = await client.chat.completions.create(**BODY, stream=True)
    seen = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta for chunk in seen]
    assert "yes" == "".join(delta.content or "" for delta in deltas)
    assert "hm" == "".join(delta.reasoning or "" for delta in deltas)
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    assert ['{"command": "ls"}', '{"command": "pwd"}'] == [c.function.arguments for c in calls]
    assert "tool_calls" == seen[-1].choices[0].finish_reason
    assert 25 == seen[-1].usage.completion_tokens


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, sdk.BadRequestError),
        (401, sdk.AuthenticationError),
        (403, sdk.PermissionDeniedError),
        (404, sdk.NotFoundError),
        (422, sdk.UnprocessableEntityError),
        (429, sdk.RateLimitError),
        (500, sdk.InternalServerError),
        (503, sdk.InternalServerError),
    ],
)
async def test_an_error_is_flat_and_typed(
    fake: ChatCompletionsFake, client: sdk.AsyncCerebras, status: int, kind: type[Exception]
) -> None:
    fake.rule(Answer(error=ErrorAnswer(status, "no")))
    with pytest.raises(kind) as raised:
        await client.chat.completions.create(**BODY)
    assert {"message", "type", "param", "code"} == set(raised.value.body)


async def test_an_error_in_a_stream_is_the_sdks_error_chunk(
    fake: ChatCompletionsFake, client: sdk.AsyncCerebras
) -> None:
    error = ErrorAnswer(529, "busy", "overloaded_error")
    answer = Answer(error_after=1, error_event=error)
    data = fake.error_event(answer).removeprefix(b"data: ")
    assert [] == unknown_fields(ErrorChunkResponse.model_validate_json(data, strict=True))
    fake.rule(answer)
    stream = await client.chat.completions.create(**BODY, stream=True)
    with pytest.raises(sdk.APIStatusError, match="busy"):
        _ = [chunk async for chunk in stream]


def request(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **more}


USER = {"role": "user", "content": "hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "T", "arguments": "{}"}}
CALLED = {"role": "assistant", "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "1"}
TOOL = {"type": "function", "function": {"name": "T", "parameters": {}}}


@pytest.mark.parametrize(
    "body",
    [
        request(USER),
        request({"role": "system", "content": "s"}, USER, stream=True, stream_options={}),
        request(USER, CALLED, RESULT, tools=[TOOL], tool_choice="required"),
        request(USER, {**CALLED, "reasoning": "r", "content": None}, RESULT),
        request(USER, max_completion_tokens=5, temperature=1, stop=["x"], reasoning_effort="low"),
    ],
)
def test_a_good_request_has_no_problems(body: dict[str, Any]) -> None:
    assert [] == problems_of(body)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (request(USER, foo=1), "foo: property 'foo' is unsupported"),
        (
            request(USER, {"role": "assistant", "content": "x", "reasoning_content": "r"}),
            "messages.1.assistant.reasoning_content: "
            "property 'messages.1.assistant.reasoning_content' is unsupported",
        ),
        (
            request(USER, tools=[{**TOOL, "cache_control": {}}]),
            "tools.0.cache_control: property 'tools.0.cache_control' is unsupported",
        ),
        (request({"role": "user", "content": " "}), "messages.0.user.content: content is empty"),
        (request(USER, CALLED), "messages.2: tool call 'a' is not answered before this message"),
        (
            request(USER, CALLED, USER, RESULT),
            "messages.3.tool.tool_call_id: 'a' answers no open call",
        ),
        (
            request(USER, {"role": "system", "content": "late"}),
            "messages.1.system: System message must be at the beginning.",
        ),
        (
            request(USER, max_tokens=1, max_completion_tokens=1),
            "max_tokens and max_completion_tokens are set together",
        ),
        (request(USER, tool_choice="auto"), "tool_choice: needs tools"),
        (request(USER, stream_options={}), "stream_options: only with stream"),
        (request(USER, reasoning_effort="xhigh"), "reasoning_effort: value 'xhigh' is not"),
        (request(USER, temperature=1.6), "temperature: value '1.6' is not allowed here"),
        (request(), "messages: at least one message is required"),
    ],
)
def test_a_bad_request_is_told_why(body: dict[str, Any], problem: str) -> None:
    found = [str(each) for each in problems_of(body)]
    assert any(each.startswith(problem) for each in found), found


async def test_a_refused_request_is_answered_and_kept(
    fake: ChatCompletionsFake, client: sdk.AsyncCerebras
) -> None:
    with pytest.raises(sdk.BadRequestError) as raised:
        await client.chat.completions.create(**BODY, extra_body={"top_k": 1})
    assert "wrong_api_format" == raised.value.body["code"]
    assert "/v1/chat/completions: top_k: property 'top_k' is unsupported" in fake.problems
