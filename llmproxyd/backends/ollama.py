"""Ollama, by its OpenAI-compatible door.

It drops the oldest messages without an error when the context is full, so a prompt that does
not fit is refused before it is sent (`preflight`; give `context_window` in the configuration).
Effort for a model that does not think is a 400 there, so only families that do are named.
"""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend, Quirks

_THINKS = {"reasoning": True}
_DOES_NOT = {"reasoning": False}

BACKEND = Backend(
    kind="ollama",
    base_url="http://localhost:11434",
    dialects=(OpenAIChat(),),
    quirks=Quirks(
        tool_choice="absent",
        image_url="fetch",
        image_types=("image/png", "image/jpeg", "image/webp"),
        prefill="pass",
        reasoning_in="reasoning",
        reasoning_control="effort",
        preflight=True,
    ),
    model_quirks=(
        ("*gpt-oss*", {"reasoning": True, "reasoning_control": "effort_always_on"}),
        ("*qwen3*", _THINKS),
        ("*qwen3-coder*", _DOES_NOT),
        ("*qwen3*instruct*", _DOES_NOT),
        ("*deepseek-r1*", _THINKS),
        ("*deepseek-v3.1*", _THINKS),
        ("*magistral*", _THINKS),
    ),
)
