"""vLLM. It has no default address: its usual port, 8000, is this proxy's own."""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend, Quirks

_BY_TEMPLATE = {"reasoning": True, "reasoning_control": "chat_template"}
_DOES_NOT = {"reasoning": False}

BACKEND = Backend(
    kind="vllm",
    dialects=(OpenAIChat(),),
    placeholder_key="dummy",
    quirks=Quirks(
        top_k=True,
        prefill="vllm",
        parallel_flag=True,
        reasoning_in="reasoning",
    ),
    model_quirks=(
        ("*qwen3*", _BY_TEMPLATE),
        ("*qwen3-coder*", _DOES_NOT),
        ("*qwen3*instruct*", _DOES_NOT),
        ("*glm-4*", _BY_TEMPLATE),
        ("*deepseek*", _BY_TEMPLATE),
        ("*gpt-oss*", {"reasoning": True, "reasoning_control": "effort_always_on"}),
    ),
)
