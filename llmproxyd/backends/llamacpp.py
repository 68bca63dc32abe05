"""llama.cpp's llama-server; it needs `--jinja` for tools."""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend, Quirks

_THINKS = {"reasoning": True}
_DOES_NOT = {"reasoning": False}

BACKEND = Backend(
    kind="llamacpp",
    base_url="http://localhost:8080",
    dialects=(OpenAIChat(),),
    placeholder_key="dummy",
    quirks=Quirks(
        tool_choice="string",
        schema_profile="llamacpp",
        top_k=True,
        prefill="pass",
        reasoning_in="reasoning_content",
        reasoning_control="chat_template_budget",
    ),
    model_quirks=(
        ("*qwen3*", _THINKS),
        ("*qwen3-coder*", _DOES_NOT),
        ("*qwen3*instruct*", _DOES_NOT),
        ("*glm-4*", _THINKS),
        ("*deepseek*", _THINKS),
    ),
)
