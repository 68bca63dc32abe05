"""A Chat Completions request as a Messages request (translation spec, section 7).

The result is a function of the body alone, and prefix-stable: what a longer conversation begins
with stays the same bytes, so that the caches of the backend hold. Fields that Messages has no
word for are dropped and noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from llmproxyd.errors import BadRequest
from llmproxyd.reverse.conversation import read_conversation
from llmproxyd.reverse.fields import Notes, is_blank, text_of
from llmproxyd.reverse.tools import tool_fields
from llmproxyd.wire.messages import decode_body, parse_request

_DEFAULT_MAX_TOKENS: Final = 8192
_TEMPERATURE_MAX: Final = 1
_JSON_INSTRUCTION: Final = "Answer with one JSON object, and with nothing else."
# OpenAI's words for effort to Anthropic's; "none" is no effort but thinking switched off.
_EFFORT: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_READ: Final = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "n"),
        *("max_completion_tokens", "max_tokens", "stop", "temperature", "top_p"),
        *("tools", "tool_choice", "parallel_tool_calls"),
        *("user", "reasoning_effort", "response_format"),
    }
)

Fields = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class Reversed(msgspec.Struct, frozen=True):
    """One translated request.

    Attributes:
        body: the Messages body, compact JSON.
        model: the model name that the client asked for.
        stream: the client wants server-sent events.
        include_usage: the stream ends with a usage chunk.
        notes: what was dropped or repaired, as short stable words for the log; never content.
    """

    body: bytes
    model: str
    stream: bool = False
    include_usage: bool = False
    notes: tuple[str, ...] = ()


def to_messages(raw: bytes) -> Reversed:
    """The Messages request that `raw`, a Chat Completions body, amounts to.

    Raises:
        BadRequest: not such a body, or it asks for what no Messages backend can do.
    """
    head = parse_request(raw)
    asked = decode_body(raw)
    notes = Notes()
    for name in asked.keys() - _READ:
        if asked[name] is not None:
            notes.add("dropped", name)
    _refuse_choices(asked)
    try:
        body = _encode(_messages_body(asked, notes, is_stream=head.stream))
    except RecursionError:
        raise BadRequest("the request body is nested too deeply") from None
    return Reversed(
        body, head.model, head.stream, head.stream and _includes_usage(asked), notes.words
    )


def _messages_body(asked: Fields, notes: Notes, *, is_stream: bool) -> Fields:
    """The Messages body; what changes from turn to turn stands last."""
    system, messages = read_conversation(asked.get("messages"), notes)
    body: Fields = {"model": asked["model"], "max_tokens": _max_tokens(asked)}
    if is_stream:
        body["stream"] = True
    for read in _OPTIONS:
        body |= read(asked)
    if _wants_any_json(asked):
        system = [*system, _JSON_INSTRUCTION]
    if system:
        body["system"] = "\n\n".join(system)
    return body | tool_fields(asked, notes) | {"messages": messages}


def _refuse_choices(asked: Fields) -> None:
    """A Messages backend gives one answer; OpenAI's older way to offer tools has no ids."""
    count = asked.get("n")
    if count is not None and (isinstance(count, bool) or count != 1):
        raise BadRequest("n: only 1 is supported")
    if asked.get("functions"):
        raise BadRequest("functions: not supported, use tools")


def _includes_usage(asked: Fields) -> bool:
    options = asked.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _max_tokens(asked: Fields) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        value = asked.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadRequest(f"{name}: Input should be a valid integer")
        if value < 1:
            raise BadRequest(f"{name}: Input should be greater than or equal to 1")
        return value
    return _DEFAULT_MAX_TOKENS


def _sampling(asked: Fields) -> Fields:
    """`temperature` up to Anthropic's limit; `top_p`, unless it is 1 and so says nothing.

    Models that refuse both together would otherwise refuse clients that send every default.
    """
    fields: Fields = {}
    temperature, top_p = _number(asked, "temperature"), _number(asked, "top_p")
    if temperature is not None:
        fields["temperature"] = max(0, min(temperature, _TEMPERATURE_MAX))
    if top_p is not None and top_p < 1:
        fields["top_p"] = max(0, top_p)
    return fields


def _number(asked: Fields, name: str) -> float | None:
    value = asked.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise BadRequest(f"{name}: Input should be a valid number")
    return value


def _stop(asked: Fields) -> Fields:
    value = asked.get("stop")
    stops = [value] if isinstance(value, str) else value
    if stops is None:
        return {}
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise BadRequest("stop: Input should be a string or an array of strings")
    kept = list(dict.fromkeys(stop for stop in stops if not is_blank(stop)))
    return {"stop_sequences": kept} if kept else {}


def _user(asked: Fields) -> Fields:
    user = text_of(asked.get("user"))
    return {"metadata": {"user_id": user}} if user else {}


def _thinking(asked: Fields) -> Fields:
    return {"thinking": {"type": "disabled"}} if asked.get("reasoning_effort") == "none" else {}


def _output_config(asked: Fields) -> Fields:
    """Effort and JSON schema; a word for effort that nobody knows is left out."""
    config: Fields = {}
    effort = _EFFORT.get(text_of(asked.get("reasoning_effort")))
    if effort:
        config["effort"] = effort
    schema = _schema(_response_format(asked))
    if schema is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    return {"output_config": config} if config else {}


def _response_format(asked: Fields) -> Fields:
    value = asked.get("response_format")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest("response_format: Input should be an object")
    return value


def _schema(response_format: Fields) -> Fields | None:
    if response_format.get("type") != "json_schema":
        return None
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        raise BadRequest("response_format.json_schema.schema: Input should be an object")
    return schema


def _wants_any_json(asked: Fields) -> bool:
    """Messages has no mode for JSON without a schema, so the system prompt asks for it."""
    return _response_format(asked).get("type") == "json_object"


_OPTIONS: Final[Iterable[Callable[[Fields], Fields]]] = (
    _sampling,
    _stop,
    _user,
    _thinking,
    _output_config,
)
