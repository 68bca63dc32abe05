"""A server on a rented Vast.ai machine: self-hosted, with patience for a model that loads.

`VAST_API_KEY` rents machines and is never sent to one; the key of the server on it, if it has
one, is `api_key` of the entry. The outer port changes at each start of the instance.
"""

from __future__ import annotations

from llmproxyd.dialects.anthropic.dialect import Anthropic
from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend, Quirks, Timeouts

BACKEND = Backend(
    kind="vast",
    dialects=(OpenAIChat(), Anthropic()),
    placeholder_key="dummy",
    quirks=Quirks(repair=True),
    timeouts=Timeouts(first_byte_s=900.0),
)
