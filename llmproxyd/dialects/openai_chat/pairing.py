"""Turns to Chat Completions messages, every call directly followed by its result.

Source: translation spec, sections 1.3.5 to 1.3.7. What strict backends insist on, and what this
file guarantees for any history: each `tool_calls` entry is answered by exactly one `tool` message,
in the order of the calls, before anything else is said; ids are unique and legal; no result is
lost, and no result stands without its call.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxyd.dialects.openai_chat.blocks import ToolResult, assistant_text, user_parts
from llmproxyd.dialects.openai_chat.messages import Turn
from llmproxyd.dialects.openai_chat.scope import Block, Part, Scope, kind_of
from llmproxyd.dialects.openai_chat.tool_names import CallIds, upstream_name

NO_RESULT = "(no result was recorded for this tool call)"

Message = dict[str, Any]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Call(msgspec.Struct):
    """A call whose result has not been written yet."""

    upstream_id: str
    name: str
    results: list[Block]


class MessageWriter:
    """Writes the messages of one conversation, turn by turn.

    Attributes:
        messages: what has been written.
        call_names: the client's ids of all calls so far to the client's names of their tools.
    """

    def __init__(self, scope: Scope) -> None:
        self.messages: list[Message] = []
        self.call_names: dict[str, str] = {}
        self._scope = scope
        self._ids = CallIds(scope.quirks.tool_id_max)
        self._server_names: dict[str, str] = {}
        self._calls: list[_Call] = []  # not answered yet, in order
        self._open: dict[str, list[_Call]] = {}  # the same by the client's id

    def write(self, turn: Turn, reasoning: str = "") -> None:
        """Write one turn; `reasoning` is what an assistant turn's thinking said, if it goes up."""
        match turn.role:
            case "assistant":
                self._assistant(turn, reasoning)
            case "user":
                self._user(turn)
            case _:
                self.finish()
                text = "\n\n".join(block["text"] for block in turn.blocks)
                self.messages.append({"role": "system", "content": text})

    def finish(self) -> None:
        """Answer the calls that are still open."""
        self._answer_calls()

    def _assistant(self, turn: Turn, reasoning: str) -> None:
        self.finish()
        texts: list[str] = []
        calls: list[dict[str, Any]] = []
        for block in turn.blocks:
            kind = kind_of(block)
            if kind == "tool_use":
                calls.append(self._call(block))
            elif kind != "thinking":
                texts.append(assistant_text(block, self._server_names, self._scope))
        content = "\n".join(filter(None, texts))
        message: Message = {"role": "assistant", "content": content}
        _add_reasoning(message, reasoning, self._scope.quirks.reasoning_in)
        if calls:
            message["tool_calls"] = calls
            if not message["content"] and self._scope.quirks.assistant_null_content:
                message["content"] = None
        self.messages.append(message)

    def _call(self, block: Block) -> dict[str, Any]:
        client_id, name = block["id"], block["name"]
        upstream = upstream_name(name)
        call = _Call(self._ids.assign(client_id), upstream, [])
        self._calls.append(call)
        self._open.setdefault(client_id, []).append(call)
        self.call_names[client_id] = name
        function = {"name": upstream, "arguments": _arguments(block.get("input"))}
        return {"id": call.upstream_id, "type": "function", "function": function}

    def _user(self, turn: Turn) -> None:
        parts: list[Part] = []
        for block in turn.blocks:
            if kind_of(block) != "tool_result":
                parts += user_parts(block, self._scope)
            elif not self._is_assigned(block):
                parts += self._stray_result(block)
        parts = self._answer_calls() + parts
        if parts:
            self.messages.append({"role": "user", "content": _content(parts)})

    def _is_assigned(self, result: Block) -> bool:
        """Give `result` to its open call: the first without one, so that equal ids pair up."""
        mine = self._open.get(result["tool_use_id"])
        if mine is None:
            return False
        waiting = (call for call in mine if not call.results)
        next(waiting, mine[-1]).results.append(result)
        return True

    def _stray_result(self, block: Block) -> list[Part]:
        """A result that is not directly after its call, as user text."""
        client_id = block["tool_use_id"]
        self._scope.note("tool_result_unpaired")
        name = self.call_names.get(client_id)
        result = ToolResult([block], upstream_name(name) if name else client_id, self._scope)
        text = f"[Result of an earlier tool call {client_id}]\n{result.text}"
        return [text, *result.attachments]

    def _answer_calls(self) -> list[Part]:
        """Write the results of the open calls; the parts that must follow in a user message."""
        parts: list[Part] = []
        for call in self._calls:
            result = ToolResult(call.results, call.name, self._scope)
            if not call.results:
                self._scope.note("tool_result_missing")
                result.text = NO_RESULT
            parts += result.attachments
            self.messages.append(
                {"role": "tool", "tool_call_id": call.upstream_id, "content": result.text}
            )
        self._calls.clear()
        self._open.clear()
        return parts


def _content(parts: list[Part]) -> str | list[dict[str, Any]]:
    """One string if all is text, else an array of parts (section 1.3.6)."""
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return "\n\n".join(texts)
    return [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]


def _add_reasoning(message: Message, reasoning: str, mode: str) -> None:
    if not reasoning or mode == "drop":
        return
    if mode == "think_tags":
        head = f"<think>{reasoning}</think>"
        message["content"] = "\n\n".join(filter(None, [head, message["content"]]))
    else:
        message[mode] = reasoning


def _arguments(tool_input: Any) -> str:
    """A tool's input as the text of a JSON object, whatever the client kept of it."""
    if tool_input is None:
        tool_input = {}
    elif isinstance(tool_input, str):
        tool_input = _parsed(tool_input)
    if not isinstance(tool_input, dict):
        tool_input = {"input": tool_input}
    return _encode(tool_input).decode()


def _parsed(text: str) -> Any:
    """The object that `text` holds, else `text`."""
    try:
        value = _decode(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text
