"""A Messages request as a Chat Completions request (translation spec, section 1).

The order of work: check what can not be repaired, read the messages into turns, write the turns,
then choose tools (a tool search in the messages decides which), then the system prompt (a schema
may have to go into it), then everything that is one field to one field.

Translation is a pure function of the call, and prefix-stable: the same earlier messages give the
same bytes, whatever follows them, or prompt caches upstream would never hit.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.formats import plan_format
from llmproxyd.dialects.openai_chat.identity import identity_fields
from llmproxyd.dialects.openai_chat.messages import (
    Conversation,
    read_conversation,
    system_text,
)
from llmproxyd.dialects.openai_chat.pairing import MessageWriter
from llmproxyd.dialects.openai_chat.preflight import preflight
from llmproxyd.dialects.openai_chat.refusals import adapted, leave_out
from llmproxyd.dialects.openai_chat.sampling import output_budget, read_stops, sampling_fields
from llmproxyd.dialects.openai_chat.scope import Scope
from llmproxyd.dialects.openai_chat.thinking import (
    Thinking,
    first_reasoning_turn,
    read_thinking,
    thinking_fields,
    turn_reasoning,
)
from llmproxyd.dialects.openai_chat.tools import plan_tools
from llmproxyd.errors import BadRequest
from llmproxyd.spi import Call, Quirks
from llmproxyd.wire.messages import decode_body
from llmproxyd.wire.tokens import estimate_prompt_tokens

NO_PREFILL = (
    "This model does not support assistant message prefill. "
    "The conversation must end with a user message."
)
_PROBE_TEXT = "Hi"

# Every field that translation reads; all others are dropped and noted.
_READ = frozenset(
    {
        *("model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream"),
        *("temperature", "top_p", "top_k", "stop_sequences", "metadata", "mcp_servers"),
        *("thinking", "output_config", "output_format"),
    }
)
# What vLLM needs to go on where the assistant's last message stops.
_VLLM_PREFILL = {"continue_final_message": True, "add_generation_prompt": False}

_NUL_ESCAPE = b"\\u0000"

_encode_json = msgspec.json.Encoder().encode


def encode(call: Call) -> Encoded:
    """Translate the request of `call`.

    Raises:
        BadRequest: it is malformed, or asks for what this backend can not do.
    """
    return encode_body(call, decode_body(call.request.raw))


def encode_body(call: Call, body: dict[str, Any]) -> Encoded:
    """Translate the request of `call` when its body is decoded already; `body` is not changed.

    Raises:
        BadRequest: as `encode`.
    """
    try:
        # from the end: a third of the time that `in` takes, on every request
        if call.request.raw.rfind(_NUL_ESCAPE) >= 0:
            body = _without_nul(body)
        return _translated(call, body)
    except RecursionError:
        raise BadRequest("the request body is nested too deeply") from None


def check_body(call: Call, body: dict[str, Any]) -> None:
    """Check a request that is counted, not sent: `max_tokens` may be absent.

    Raises:
        BadRequest: it is malformed.
    """
    _check(body | {"max_tokens": 0})
    read_conversation(body["messages"], Scope(call.target.quirks, call.images))


def local_answer_kind(call: Call, body: dict[str, Any]) -> Literal["probe", "prewarm"] | None:
    """Why the request needs no backend: the client's model probe, or a cache prewarm.

    The probe is what the client sends for a model name it does not know; both are answered here
    (translation spec, correction 6 and section 1.1).
    """
    if body.get("max_tokens") == 0:
        return "prewarm"
    is_probe = body.get("max_tokens") == 1 and not body.get("tools") and not call.request.stream
    return "probe" if is_probe and _says_only(body, _PROBE_TEXT) else None


def _says_only(body: dict[str, Any], text: str) -> bool:
    match body.get("messages"):
        case [{"role": "user", "content": str(said)}]:
            return said == text
        case [{"role": "user", "content": [{"type": "text", "text": str(said)}]}]:
            return said == text
        case _:
            return False


def _translated(call: Call, body: dict[str, Any]) -> Encoded:
    _check(body)
    quirks = adapted(call.target.quirks, call.dropped)
    scope = Scope(quirks, call.images)
    for field in body:
        if field not in _READ:
            scope.note("dropped", field)
    conversation = read_conversation(body["messages"], scope)
    thinking = read_thinking(body, conversation.effort)
    writer = _written(conversation, call, scope)
    tools = plan_tools(body, writer.call_names.values(), scope)
    form = plan_format(body, quirks, has_tools="tools" in tools.fields)
    stops = read_stops(body.get("stop_sequences"), quirks)
    raw_tokens = estimate_prompt_tokens(body, has_vision=quirks.vision, reads_pdf=quirks.pdf)
    prompt_tokens = math.ceil(raw_tokens * (call.token_scale or 1.0))
    preflight(call, prompt_tokens)
    max_tokens = output_budget(body["max_tokens"], call.target.limits, prompt_tokens)
    system = [system_text(body.get("system")), *conversation.hoisted, form.system_text]
    request: dict[str, Any] = {
        "model": call.target.model,
        "messages": _system_message(system, quirks) + writer.messages,
        **tools.fields,
        quirks.max_tokens_field: max_tokens,
        **sampling_fields(body, scope),
        **({"stop": stops.upstream} if stops.upstream else {}),
        **_thinking_and_prefill(conversation, thinking, quirks),
        **form.fields,
        **identity_fields(call, body),
        **_transport_fields(quirks),
    }
    leave_out(request, call.dropped)
    return Encoded(
        body=_encode_json(request),
        notes=scope.notes,
        names=tools.names,
        tool_names=tools.client_names,
        history_ids=frozenset(writer.call_names),
        proxy_stops=stops.proxy,
        stop_sequences=stops.every,
        wants_thinking=thinking.is_wanted,
        omits_thinking=thinking.is_omitted,
        max_tokens=max_tokens,
        prompt_tokens=prompt_tokens,
        raw_prompt_tokens=raw_tokens,
    )


def _check(body: dict[str, Any]) -> None:
    """Refuse what can not be repaired, first problem only; blocks are checked as they are read."""
    max_tokens, messages = body.get("max_tokens"), body.get("messages")
    for field, value, kind, name in (
        ("max_tokens", max_tokens, int, "integer"),
        ("messages", messages, list, "array"),
    ):
        if value is None:
            raise BadRequest(f"{field}: Field required")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadRequest(f"{field}: Input should be a valid {name}")
    if body["max_tokens"] < 0:
        raise BadRequest("max_tokens: Input should be greater than or equal to 0")
    if not messages:
        raise BadRequest("messages: at least one message is required")
    if body.get("mcp_servers"):
        raise BadRequest("mcp_servers is not supported by this backend")


def _written(conversation: Conversation, call: Call, scope: Scope) -> MessageWriter:
    """All turns, written; the reasoning of the running tool loop included."""
    if conversation.is_prefilled and scope.quirks.prefill == "reject":
        raise BadRequest(NO_PREFILL)
    writer = MessageWriter(scope)
    first = first_reasoning_turn(conversation.turns, scope.quirks)
    for index, turn in enumerate(conversation.turns):
        is_kept = turn.role == "assistant" and index >= first
        writer.write(turn, turn_reasoning(turn, call.reasoning) if is_kept else "")
    writer.finish()
    if conversation.is_prefilled:
        last = writer.messages[-1]
        last["content"] = last["content"].rstrip()
    return writer


def _system_message(texts: list[str], quirks: Quirks) -> list[dict[str, Any]]:
    content = "\n\n".join(filter(None, texts))
    return [{"role": quirks.system_role, "content": content}] if content else []


def _thinking_and_prefill(
    conversation: Conversation, thinking: Thinking, quirks: Quirks
) -> dict[str, Any]:
    """A prefilled answer goes on as it began, so the model can not think first."""
    if not conversation.is_prefilled:
        return thinking_fields(thinking, quirks)
    continuation = _VLLM_PREFILL if quirks.prefill == "vllm" else {}
    return thinking_fields(thinking.switched_off(), quirks) | continuation


def _transport_fields(quirks: Quirks) -> dict[str, Any]:
    """Always a stream, whatever the client wants: stalls show, and gateways do not time out."""
    fields: dict[str, Any] = {"stream": True}
    if not quirks.no_stream_options:
        fields["stream_options"] = {"include_usage": True}
    if quirks.litellm_cache is not None:
        fields["cache"] = quirks.litellm_cache
    return fields


def _without_nul(value: Any) -> Any:
    """A copy without NUL characters, at which many servers cut or refuse a text."""
    match value:
        case str():
            return value.replace("\0", "")
        case list():
            return [_without_nul(item) for item in value]
        case dict():
            return {_without_nul(key): _without_nul(item) for key, item in value.items()}
        case _:
            return value
