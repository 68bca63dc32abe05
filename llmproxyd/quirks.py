"""How providers and models deviate from the format they speak, as one frozen struct of flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider or model deviates. Names and meanings: translation spec, section 8.

    Every flag can be set per backend (`quirks = {…}` in the configuration) and per model.
    """

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature_max: float = 2.0
    default_temperature: float | None = None
    stop_max: int = 4
    stop_mode: Literal["upstream", "proxy"] = "upstream"
    mid_system: Literal["inline", "native", "hoist"] = "inline"
    system_role: Literal["system", "developer"] = "system"
    prefill: Literal["reject", "pass", "vllm"] = "reject"
    first_user_required: bool = False
    image_url: Literal["pass", "fetch"] = "pass"
    image_types: tuple[str, ...] = ("image/png", "image/jpeg", "image/gif", "image/webp")
    vision: bool = True
    pdf: bool = False
    parallel_flag: bool = False
    tool_choice: Literal["full", "string", "absent"] = "full"
    tool_id_max: int = 64
    tool_description_max: int | None = None
    tools_required_with_history: bool = False
    assistant_null_content: bool = True
    strict_tools: bool | None = None
    strict_format: bool = True
    schema_profile: Literal["full", "plain", "llamacpp"] = "full"
    response_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    response_format_with_tools: bool = True
    top_k: bool = False
    no_sampling: bool = False
    no_stream_options: bool = False
    user_field: str | None = None
    prompt_cache_key: bool = False
    learn: bool = False
    preflight: bool = False
    repair_args: bool = False
    salvage_text_tools: bool = False
    # Reasoning: which request field controls it (section 1.9) and how it comes back (2.3).
    reasoning: bool = False
    reasoning_control: Literal[
        "effort",  # reasoning_effort; `none` switches it off
        "effort_always_on",  # reasoning_effort, lowest level when off (gpt-oss)
        "none_only",  # reasoning_effort "none" when off, nothing otherwise (Cerebras GLM, Qwen)
        "chat_template",  # chat_template_kwargs.enable_thinking
        "chat_template_budget",  # the same, with thinking_budget_tokens (llama.cpp)
        "openrouter",  # reasoning: {enabled | effort | max_tokens}
        "effort_or_omit",  # reasoning_effort; left out when off (LiteLLM)
        "thinking_type",  # thinking: {type: enabled | disabled}
    ] = "effort"
    effort_xhigh: bool = False
    reasoning_in: Literal["drop", "reasoning_content", "reasoning", "think_tags"] = "drop"
    reasoning_in_all: bool = False
    think_tags: Literal["auto", "always_open", "off"] = "auto"
    emit_thinking: Literal["auto", "always"] = "auto"
    # Pass-through of Anthropic-shaped backends.
    repair: bool = False
    strip_betas: tuple[str, ...] = ()
    strip_fields: tuple[str, ...] = ()
    litellm_cache: dict[str, Any] | None = None

    def updated(self, flags: Mapping[str, Any]) -> Quirks:
        """These quirks with `flags` (validated by the configuration) on top."""
        return msgspec.structs.replace(self, **flags) if flags else self
