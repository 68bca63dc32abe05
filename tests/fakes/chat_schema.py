"""What Cerebras accepts in a Chat Completions request, checked to the last property.

The shapes are those of the request types in cerebras-cloud-sdk 1.91.0 (2026-11); the wording of
refusals is what users of the service report. A live server does not check all of this; a fake that
does finds what a translator only gets away with. Every problem is found, not only the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
IMAGE_URL = re.compile(r"^data:image/(png|jpeg);base64,[A-Za-z0-9+/]+=*$")
MAX_IMAGES = 5


@dataclass(frozen=True)
class Problem:
    """One reason for a 400."""

    message: str
    param: str = "validation_error"

    def __str__(self) -> str:
        return self.message


Check = Callable[[Any], bool]


def _is(*types: type) -> Check:
    return lambda value: (
        isinstance(value, types) and not (isinstance(value, bool) and bool not in types)
    )


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _one_of(*words: str) -> Check:
    return lambda value: value in words


def _between(low: float, high: float) -> Check:
    number = _is(int, float)
    return lambda value: number(value) and low <= value <= high


def _positive(value: Any) -> bool:
    return _is(int)(value) and value > 0


def _stop(value: Any) -> bool:
    words = [value] if isinstance(value, str) else value
    return isinstance(words, list) and len(words) <= 4 and all(isinstance(w, str) for w in words)


REQUEST: dict[str, Check] = {
    "messages": _is(list),
    "model": _is(str),
    "clear_thinking": _optional(_is(bool)),
    "disable_reasoning": _optional(_is(bool)),
    "frequency_penalty": _optional(_between(-2, 2)),
    "logit_bias": _optional(_is(dict)),
    "logprobs": _optional(_is(bool)),
    "max_completion_tokens": _optional(_positive),
    "max_tokens": _optional(_positive),
    "min_completion_tokens": _optional(_is(int)),
    "min_tokens": _optional(_is(int)),
    "model_parameters": _optional(_is(dict)),
    "n": _optional(_positive),
    "parallel_tool_calls": _optional(_is(bool)),
    "prediction": _optional(_is(dict)),
    "presence_penalty": _optional(_between(-2, 2)),
    "prompt_cache_key": _optional(_is(str)),
    "reasoning_effort": _optional(_one_of("none", "low", "medium", "high")),
    "reasoning_format": _one_of("none", "parsed", "text_parsed", "raw", "hidden"),
    "response_format": _optional(_is(dict)),
    "seed": _optional(_is(int)),
    "service_tier": _optional(_one_of("auto", "default", "flex", "priority")),
    "stop": _optional(_stop),
    "stream": _optional(_is(bool)),
    "stream_options": _optional(_is(dict)),
    "temperature": _optional(_between(0, 1.5)),
    "tool_choice": _optional(_is(str, dict)),
    "tools": _optional(_is(list)),
    "top_logprobs": _optional(_between(0, 20)),
    "top_p": _optional(_between(0, 1)),
    "user": _optional(_is(str)),
}
MESSAGE: dict[str, dict[str, Check]] = {
    "system": {"role": _is(str), "content": _is(str, list), "name": _optional(_is(str))},
    "developer": {"role": _is(str), "content": _is(str, list), "name": _optional(_is(str))},
    "user": {"role": _is(str), "content": _is(str, list), "name": _optional(_is(str))},
    "assistant": {
        "role": _is(str),
        "content": _optional(_is(str, list)),
        "name": _optional(_is(str)),
        "reasoning": _optional(_is(str, list)),
        "tool_calls": _optional(_is(list)),
    },
    # The types allow a list of texts; servers behind the same format lose the id then.
    "tool": {
        "role": _is(str),
        "content": _is(str),
        "tool_call_id": _is(str),
        "name": _optional(_is(str)),
    },
}
TEXT_PART: dict[str, Check] = {"type": _is(str), "text": _is(str)}
IMAGE_PART: dict[str, Check] = {"type": _is(str), "image_url": _is(dict)}
IMAGE: dict[str, Check] = {"url": _is(str), "detail": _optional(_is(str))}
TOOL: dict[str, Check] = {"type": _one_of("function"), "function": _is(dict)}
FUNCTION: dict[str, Check] = {
    "name": lambda value: isinstance(value, str) and bool(TOOL_NAME.match(value)),
    "description": _optional(_is(str)),
    "parameters": _optional(_is(dict)),
    "strict": _is(bool),
}
CALL: dict[str, Check] = {
    "id": _is(str),
    "type": _one_of("function"),
    "function": _is(dict),
    "index": _optional(_is(int)),
}
CALLED: dict[str, Check] = {"name": FUNCTION["name"], "arguments": _is(str)}
REQUIRED: dict[str, tuple[str, ...]] = {
    "system": ("content",),
    "developer": ("content",),
    "user": ("content",),
    "assistant": (),
    "tool": ("content", "tool_call_id"),
}


def _shape(
    value: Any, shape: dict[str, Check], path: str, required: tuple[str, ...] = ()
) -> list[Problem]:
    if not isinstance(value, dict):
        return [Problem(f"{path}: value is not an object")]
    dot = f"{path}." if path else ""
    problems = [
        Problem(f"{dot}{key}: property '{dot}{key}' is unsupported")
        for key in value
        if key not in shape
    ]
    problems += [
        Problem(f"{dot}{key}: value {str(value[key])[:60]!r} is not allowed here")
        for key, check in shape.items()
        if key in value and not check(value[key])
    ]
    problems += [
        Problem(f"{dot}{key}: property '{dot}{key}' is missing")
        for key in required
        if key not in value
    ]
    return problems


def _content(content: Any, role: str, path: str) -> list[Problem]:
    if isinstance(content, str):
        is_blank = not content.strip() and role != "assistant"
        return [Problem(f"{path}: content is empty")] if is_blank else []
    problems: list[Problem] = []
    if isinstance(content, list) and not content:
        problems.append(Problem(f"{path}: content is empty"))
    for i, part in enumerate(content if isinstance(content, list) else []):
        place = f"{path}.{i}"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            problems += _shape(part, TEXT_PART, place, ("text",))
            if not str(part.get("text", "")).strip():
                problems.append(Problem(f"{place}.text: text is empty"))
        elif kind == "image_url" and role == "user":
            problems += _shape(part, IMAGE_PART, place, ("image_url",))
            problems += _shape(part.get("image_url"), IMAGE, f"{place}.image_url", ("url",))
            if not IMAGE_URL.match(str((part.get("image_url") or {}).get("url", ""))):
                problems.append(Problem(f"{place}.image_url.url: only png or jpeg data URIs"))
        else:
            problems.append(Problem(f"{place}: content type {kind!r} is not allowed for {role}"))
    return problems


def _calls(message: Json, path: str) -> list[Problem]:
    calls = message.get("tool_calls")
    if calls is None:
        has_text = bool(message.get("content"))
        return [] if has_text else [Problem(f"{path}: neither content nor tool_calls")]
    problems = [Problem(f"{path}.tool_calls: list is empty")] if not calls else []
    for i, call in enumerate(calls):
        place = f"{path}.tool_calls.{i}"
        problems += _shape(call, CALL, place, ("id", "type", "function"))
        called = call.get("function") or {}
        problems += _shape(called, CALLED, f"{place}.function", ("name", "arguments"))
        try:
            is_object = isinstance(json.loads(called.get("arguments", "")), dict)
        except ValueError:
            is_object = False
        if not is_object:
            problems.append(Problem(f"{place}.function.arguments: not a JSON object"))
    return problems


def _message(message: Any, position: int) -> list[Problem]:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in MESSAGE:
        return [Problem(f"messages.{position}.role: {role!r} is not a role")]
    path = f"messages.{position}.{role}"
    problems = _shape(message, MESSAGE[role], path, REQUIRED[role])
    if role in ("system", "developer") and position:
        problems.append(Problem(f"{path}: System message must be at the beginning."))
    problems += _content(message.get("content"), role, f"{path}.content")
    if role == "assistant":
        problems += _calls(message, path)
    return problems


def _adjacency(messages: list[Json]) -> list[Problem]:
    """Each call answered once, in order, right after the message that made it."""
    problems: list[Problem] = []
    waiting: list[str] = []
    for i, message in enumerate([*messages, {"role": "end"}]):
        if message.get("role") == "tool":
            answered = message.get("tool_call_id")
            if waiting and waiting[0] == answered:
                waiting.pop(0)
            else:
                problems.append(
                    Problem(f"messages.{i}.tool.tool_call_id: {answered!r} answers no open call")
                )
            continue
        problems += [
            Problem(f"messages.{i}: tool call {call!r} is not answered before this message")
            for call in waiting
        ]
        waiting = [str(call.get("id")) for call in message.get("tool_calls") or []]
    ids = [call.get("id") for message in messages for call in message.get("tool_calls") or []]
    problems += [
        Problem(f"tool call id {call!r} is used twice") for call in set(ids) if ids.count(call) > 1
    ]
    return problems


def _tools(body: Json) -> list[Problem]:
    tools = body.get("tools")
    choice = body.get("tool_choice")
    if tools is None:
        return [Problem("tool_choice: needs tools", "tool_choice")] if choice else []
    problems = [] if tools else [Problem("tools: list is empty", "tools")]
    for i, tool in enumerate(tools):
        problems += _shape(tool, TOOL, f"tools.{i}", ("type", "function"))
        function = tool.get("function") or {}
        problems += _shape(function, FUNCTION, f"tools.{i}.function", ("name",))
    functions = [tool.get("function") or {} for tool in tools]
    names = [function.get("name") for function in functions]
    if len(set(names)) < len(names):
        problems.append(Problem("tools: a name is used twice", "tools"))
    if len({function.get("strict") for function in functions}) > 1:
        problems.append(Problem("tools: strict must be the same for all", "tools"))
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        problems.append(Problem(f"tool_choice: {choice!r}", "tool_choice"))
    if isinstance(choice, dict) and (choice.get("function") or {}).get("name") not in names:
        problems.append(Problem("tool_choice: names no tool", "tool_choice"))
    if (body.get("response_format") or {}).get("type") not in (None, "text"):
        problems.append(Problem('"tools" is incompatible with "response_format"'))
    return problems


def _together(body: Json) -> list[Problem]:
    problems: list[Problem] = []
    if "max_tokens" in body and "max_completion_tokens" in body:
        problems.append(Problem("max_tokens and max_completion_tokens are set together"))
    options = body.get("stream_options")
    if options is not None:
        problems += _shape(options, {"include_usage": _optional(_is(bool))}, "stream_options")
        if not body.get("stream"):
            problems.append(Problem("stream_options: only with stream"))
    words = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or []
    problems += [Problem("stop: a sequence is blank", "stop") for word in words if not word.strip()]
    images = json.dumps(body.get("messages")).count('"image_url": {')
    if images > MAX_IMAGES:
        problems.append(Problem(f"messages: {images} images, at most {MAX_IMAGES}"))
    return problems


def problems_of(body: Any) -> list[Problem]:
    """Everything wrong with a Chat Completions request; an empty list for a good one."""
    if not isinstance(body, dict):
        return [Problem("body: value is not an object")]
    problems = _shape(body, REQUEST, "", ("messages", "model"))
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        return [*problems, Problem("messages: at least one message is required", "messages")]
    for position, message in enumerate(body["messages"]):
        problems += _message(message, position)
    if not any(isinstance(m, dict) and m.get("role") == "user" for m in body["messages"]):
        problems.append(Problem("messages: no user message", "messages"))
    objects = [m for m in body["messages"] if isinstance(m, dict)]
    return problems + _adjacency(objects) + _tools(body) + _together(body)
