"""LiteLLM proxy, by its Chat Completions door: its own Messages endpoint is less faithful.

Its cache is bypassed unless the configuration says otherwise (`quirks = { litellm_cache = … }`):
a cached completion would replay the same tool ids and repeat failed actions (translation spec,
section 1.11). Model names are whatever its administrator chose, so reasoning is off unless the
name tells; set `quirks = { reasoning = true }` for others.
"""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend, Quirks

BACKEND = Backend(
    kind="litellm",
    base_url="http://localhost:4000",
    dialects=(OpenAIChat(),),
    key_env="LITELLM_API_KEY",
    placeholder_key="dummy",
    quirks=Quirks(
        parallel_flag=True,
        reasoning_control="effort_or_omit",
        litellm_cache={"no-cache": True, "no-store": True},
    ),
    model_quirks=(
        ("*gpt-5*", {"reasoning": True}),
        ("*claude*", {"tools_required_with_history": True}),
    ),
)
