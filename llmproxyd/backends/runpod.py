"""A server on RunPod, pod or serverless endpoint, usually vLLM; cold starts take minutes.

    pod         url = "https://POD-PORT.proxy.runpod.net", api_key = the server's own, if any
    serverless  url = "https://api.runpod.ai/v2/ENDPOINT/openai/v1",
                api_key = { env = "RUNPOD_API_KEY" }

The account's key is not taken from the environment unasked: it would go to any pod, and it can
rent and delete machines.
"""

from __future__ import annotations

from llmproxyd.dialects.anthropic.dialect import Anthropic
from llmproxyd.dialects.openai_chat.dialect import OpenAIChat
from llmproxyd.spi import Backend, Quirks, Timeouts

_BY_TEMPLATE = {"reasoning": True, "reasoning_control": "chat_template"}
_DOES_NOT = {"reasoning": False}

BACKEND = Backend(
    kind="runpod",
    dialects=(OpenAIChat(), Anthropic()),
    placeholder_key="dummy",
    quirks=Quirks(
        top_k=True,
        prefill="vllm",
        parallel_flag=True,
        reasoning_in="reasoning",
        repair=True,
    ),
    model_quirks=(
        ("*qwen3*", _BY_TEMPLATE),
        ("*qwen3-coder*", _DOES_NOT),
        ("*qwen3*instruct*", _DOES_NOT),
        ("*glm-4*", _BY_TEMPLATE),
        ("*deepseek*", _BY_TEMPLATE),
        ("*gpt-oss*", {"reasoning": True, "reasoning_control": "effort_always_on"}),
    ),
    timeouts=Timeouts(first_byte_s=900.0),
)
