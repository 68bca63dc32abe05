"""OpenRouter (SaaS): many providers behind one Chat Completions API.

Models whose reasoning is mandatory refuse `reasoning: {enabled: false}` with a 400, so only
families that can be switched are controlled; all others reason as they please.
"""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend, Quirks

_CAN_STOP_REASONING = {"reasoning": True}

BACKEND = Backend(
    kind="openrouter",
    base_url="https://openrouter.ai/api/v1",
    dialects=(OpenAIChat(),),
    key_env="OPENROUTER_API_KEY",
    needs_key=True,
    quirks=Quirks(top_k=True, parallel_flag=True, reasoning_control="openrouter"),
    model_quirks=(
        ("qwen/qwen3*", _CAN_STOP_REASONING),
        ("qwen/qwen3*thinking*", {"reasoning": False}),
        ("z-ai/glm-4*", _CAN_STOP_REASONING),
    ),
)
