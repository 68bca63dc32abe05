"""A strict Chat Completions server's view of a request, written without looking at the translator.

Sources: OpenAI's API reference for `POST /v1/chat/completions`, and what Cerebras, vLLM templates
and Ollama refuse beyond it (translation spec, section 8).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

FIELDS = {
    *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stream"),
    *("stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k"),
    *("stop", "response_format", "reasoning_effort", "reasoning", "thinking", "user"),
    *("chat_template_kwargs", "thinking_budget_tokens", "prompt_cache_key", "cache"),
    *("continue_final_message", "add_generation_prompt", "safety_identifier"),
}
KEYS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "reasoning", "reasoning_content"},
    "tool": {"role", "tool_call_id", "content"},
}
ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ANTHROPIC_KEYS = {
    *("cache_control", "tool_use_id", "input_schema", "is_error", "signature", "source"),
    *("defer_loading", "citations", "context_management", "output_config", "stop_sequences"),
}


def problems(request: dict[str, Any]) -> list[str]:
    """Everything that a strict server would refuse; empty for a valid request."""
    return list(_problems(request))


def _problems(request: dict[str, Any]) -> Iterator[str]:
    yield from (f"unknown field {name}" for name in request.keys() - FIELDS)
    if not isinstance(request.get("model"), str):
        yield "model is not a string"
    if len({"max_tokens", "max_completion_tokens"} & request.keys()) != 1:
        yield "not exactly one output budget"
    if request.get("stream") is not True and "stream_options" in request:
        yield "stream_options without stream"
    if not request.get("messages"):
        yield "no messages"
    yield from _messages(request.get("messages") or [])
    yield from _tools(request)
    stops = request.get("stop", ["x"])
    if not 1 <= len(stops) <= 4 or not all(isinstance(s, str) and s.strip() for s in stops):
        yield f"bad stop {stops}"


def _messages(messages: list[dict[str, Any]]) -> Iterator[str]:
    waiting: list[str] = []
    seen: set[str] = set()
    previous = ""
    for index, message in enumerate(messages):
        role = message["role"]
        foreign = (message.keys() - KEYS[role]) | (_keys(message) & ANTHROPIC_KEYS)
        yield from (f"{index}: unknown key {key}" for key in foreign)
        if role == "tool":
            if not waiting or message["tool_call_id"] != waiting.pop(0):
                yield f"{index}: tool message out of place"
        elif waiting:
            yield f"{index}: calls without results"
        if role == previous and role != "tool":
            yield f"{index}: {role} twice"
        if role == "system" and index:
            yield f"{index}: late system message"
        yield from (f"{index}: {problem}" for problem in _content(message))
        for tool_call in message.get("tool_calls", ()):
            yield from (f"{index}: {problem}" for problem in _tool_call(tool_call, seen))
            seen.add(tool_call["id"])
            waiting.append(tool_call["id"])
        previous = role
    if waiting:
        yield "the last calls have no results"


def _content(message: dict[str, Any]) -> Iterator[str]:
    role, content = message["role"], message["content"]
    if role == "assistant" and content is None:
        if not message.get("tool_calls"):
            yield "assistant says nothing"
    elif role == "user" and isinstance(content, list):
        yield from (f"bad part {part}" for part in content if not _is_part(part))
    elif not isinstance(content, str):
        yield f"{role} content is a {type(content).__name__}"
    elif not content.strip() and not message.get("tool_calls"):
        yield f"{role} content is blank"
    if message.get("tool_calls") == []:
        yield "empty tool_calls"


def _is_part(part: dict[str, Any]) -> bool:
    match part:
        case {"type": "text", "text": str(said), **rest}:
            return bool(said.strip()) and not rest
        case {"type": "image_url", "image_url": {"url": str(url), **inner}, **rest}:
            return bool(url) and not rest and not inner
        case {"type": "file", "file": {"filename": str(), "file_data": str(), **inner}, **rest}:
            return not rest and not inner
        case _:
            return False


def _tool_call(tool_call: dict[str, Any], seen: set[str]) -> Iterator[str]:
    match tool_call:
        case {
            "id": str(tool_id),
            "type": "function",
            "function": {"name": str(name), "arguments": str(arguments), **inner},
            **rest,
        } if not rest and not inner:
            if tool_id in seen or not ID.fullmatch(tool_id) or not ID.fullmatch(name):
                yield f"bad or repeated id or name {tool_id} {name}"
            if not isinstance(json.loads(arguments), dict):
                yield f"arguments are no object: {arguments}"
        case _:
            yield f"bad tool call {tool_call}"


def _tools(request: dict[str, Any]) -> Iterator[str]:
    tools = request.get("tools")
    names: list[str] = []
    for tool in tools or ():
        match tool:
            case {
                "type": "function",
                "function": {
                    "name": str(name),
                    "description": str(),
                    "parameters": {"type": str(), "properties": dict()},
                    **inner,
                },
                **rest,
            } if not rest and inner.keys() <= {"strict"} and ID.fullmatch(name):
                names.append(name)
            case _:
                yield f"bad tool {tool}"
    if tools == []:
        yield "empty tools"
    if len(set(names)) != len(names):
        yield f"tool names repeat: {names}"
    match request.get("tool_choice"):
        case None:
            pass
        case "required" | "none" if tools:
            pass
        case {"type": "function", "function": {"name": name}} if name in names:
            pass
        case choice:
            yield f"bad tool_choice {choice}"
    if "parallel_tool_calls" in request and not tools:
        yield "parallel_tool_calls without tools"


def _keys(value: Any) -> set[str]:
    """All keys at any depth; arguments and texts are strings and stay closed."""
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()
