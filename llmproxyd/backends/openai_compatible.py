"""Any Chat Completions API with a key and an address of its own; OpenAI's among them.

The models that only OpenAI has are known by name, as they refuse `max_tokens` and sampling.
"""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend

_OPENAI_REASONING = {
    "max_tokens_field": "max_completion_tokens",
    "no_sampling": True,
    "stop_mode": "proxy",
    "parallel_flag": True,
    "pdf": True,
    "reasoning": True,
    "reasoning_control": "effort_always_on",
}

BACKEND = Backend(
    kind="openai-compatible",
    dialects=(OpenAIChat(),),
    model_quirks=(("gpt-5*", _OPENAI_REASONING), ("o[1-9]*", _OPENAI_REASONING)),
)
