"""Cerebras inference API (SaaS), Chat Completions.

What deviates (translation spec, sections 1.9 and 8; inference-docs.cerebras.ai, read 2026-11):

- Any property it does not know is a 400, so refusals are learned.
- `max_completion_tokens` is reserved against the tokens-per-minute limit up front, so output is
  capped well below what clients ask for.
- gpt-oss can not stop reasoning; GLM and Qwen know only `reasoning_effort: "none"`.
- Models come and go within weeks: only families are named here, never a model.
"""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend, Limits, Quirks

_CAN_STOP_REASONING = {"reasoning": True, "reasoning_control": "none_only", "vision": False}

BACKEND = Backend(
    kind="cerebras",
    base_url="https://api.cerebras.ai/v1",
    dialects=(OpenAIChat(),),
    key_env="CEREBRAS_API_KEY",
    needs_key=True,
    limits=Limits(max_output=16384),
    quirks=Quirks(
        max_tokens_field="max_completion_tokens",
        temperature_max=1.5,
        image_url="fetch",
        image_types=("image/png", "image/jpeg"),
        parallel_flag=True,
        response_format_with_tools=False,
        reasoning_in="reasoning",
        learn=True,
    ),
    model_quirks=(
        (
            "gpt-oss*",
            {"reasoning": True, "reasoning_control": "effort_always_on", "vision": False},
        ),
        ("zai-glm*", _CAN_STOP_REASONING),
        ("qwen*", _CAN_STOP_REASONING),
        ("qwen*coder*", {"reasoning": False}),
        ("qwen*instruct*", {"reasoning": False}),
        ("llama*", {"vision": False}),
    ),
)
