"""What an upstream request holds, read alike from both wire formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fakes.server import Seen


def _blocks(content: Any) -> Iterator[dict[str, Any]]:
    """All content blocks, those inside tool results too."""
    for block in content if isinstance(content, list) else []:
        yield block
        yield from _blocks(block.get("content"))


def _messages(request: Seen) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = request.body["messages"]
    return messages


def tool_results(request: Seen) -> list[str]:
    """Every tool result as text, in order."""
    results: list[str] = []
    for message in _messages(request):
        if message["role"] == "tool":
            results.append(message["content"])
        for block in _blocks(message.get("content")):
            if block.get("type") == "tool_result":
                content = block["content"]
                is_text = isinstance(content, str)
                results.append(content if is_text else " ".join(_texts(content)))
    return results


def _texts(content: Any) -> list[str]:
    return [block["text"] for block in _blocks(content) if block.get("type") == "text"]


def thoughts(request: Seen) -> list[str]:
    """The reasoning that the history carries."""
    found: list[str] = []
    for message in _messages(request):
        if message.get("reasoning"):
            found.append(message["reasoning"])
        blocks = _blocks(message.get("content"))
        found += [block["thinking"] for block in blocks if block.get("type") == "thinking"]
    return found


def images(request: Seen) -> list[str]:
    """The media types of all pictures that are in the request with their bytes."""
    found: list[str] = []
    for message in _messages(request):
        for block in _blocks(message.get("content")):
            if block.get("type") == "image":
                found.append(block["source"]["media_type"])
            if block.get("type") == "image_url":
                found.append(block["image_url"]["url"].removeprefix("data:").partition(";")[0])
    return found


def tool_names(request: Seen) -> list[str]:
    """The tools that the model may call now."""
    tools: list[dict[str, Any]] = request.body.get("tools") or []
    return [(tool.get("function") or tool)["name"] for tool in tools]
