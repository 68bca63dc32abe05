"""The official Python SDK makes of every golden stream the message that it folds into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from tests.sdk_accumulators.streams import BROKEN, WHOLE, comparable, error_of, message_of

ASK: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
}
DOORS = ["stable", "beta"]


@pytest.fixture(params=DOORS)
async def stream(request: pytest.FixtureRequest, streams_url: str) -> AsyncIterator[Any]:
    """`stream(name)` begins to read a golden stream."""
    async with anthropic.AsyncAnthropic(api_key="k", base_url=streams_url, max_retries=0) as made:

        def begin(name: str) -> Any:
            client = made.with_options(base_url=f"{streams_url}/{name}")
            messages = client.messages if request.param == "stable" else client.beta.messages
            return messages.stream(**ASK)

        yield begin


@pytest.mark.parametrize("name", WHOLE)
async def test_message_is_the_folded_one(stream: Any, name: str) -> None:
    async with stream(name) as events:
        message = await events.get_final_message()
    made = message.to_dict(mode="json", exclude_unset=True)
    assert comparable(message_of(name)) == comparable(made)


@pytest.mark.parametrize("name", sorted(BROKEN))
async def test_error_that_ends_a_stream_is_raised(stream: Any, name: str) -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        async with stream(name) as events:
            await events.get_final_message()
    assert error_of(name) == raised.value.body
