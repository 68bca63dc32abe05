"""The messages of a Chat Completions request as a system prompt and alternating turns.

    system, developer   in front: the system prompt; later: user text where it stands
    user                user blocks
    tool                a tool_result of the user turn it falls in
    assistant           text, then tool_use

Consecutive messages of one role become one turn; `pairing.py` then fits calls and results.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmproxyd.errors import BadRequest
from llmproxyd.reverse.fields import Block, Notes, Turn, is_blank, object_of, text_of
from llmproxyd.reverse.pairing import pair_tools
from llmproxyd.reverse.parts import read_parts, read_words, text_blocks
from llmproxyd.wire.fold import parse_tool_input

_SYSTEM_ROLES: Final = frozenset({"system", "developer"})
_RESULT_ROLES: Final = frozenset({"tool", "function"})
_REMINDER_START: Final = "<system-reminder>"
_CONTINUED: Final = "(conversation continues)"

Message = dict[str, Any]

_encode = msgspec.json.Encoder().encode


def read_conversation(messages: Any, notes: Notes) -> tuple[list[str], list[Message]]:
    """The pieces of the system prompt, and the Messages turns.

    A conversation of system messages only becomes a user turn.

    Raises:
        BadRequest: `messages` is not a list of messages, or nothing is left of it.
    """
    reader = _Reader(notes)
    for index, message in enumerate(_listed(messages, "messages")):
        reader.read(message, f"messages.{index}")
    system, turns = reader.system, reader.turns
    if not turns:
        system, turns = [], [("user", _reminders(system))] if system else []
    if not turns:
        raise BadRequest("messages: at least one message is required")
    if turns[0][0] == "assistant":
        turns = [("user", text_blocks(_CONTINUED)), *turns]
    turns = pair_tools(turns)
    _trim_prefill(turns[-1])
    return system, [{"role": role, "content": blocks} for role, blocks in turns]


class _Reader:
    """Collects messages into turns.

    Attributes:
        system: the system prompt so far.
        turns: roles and blocks, consecutive roles merged, none empty.
    """

    def __init__(self, notes: Notes) -> None:
        self.system: list[str] = []
        self.turns: list[Turn] = []
        self._notes = notes
        self._function_id = ""

    def read(self, message: Any, place: str) -> None:
        """Add one message."""
        if not isinstance(message, dict):
            raise BadRequest(f"{place}: Input should be an object")
        role = message.get("role")
        if not isinstance(role, str):
            raise BadRequest(f"{place}.role: Field required")
        if role in _SYSTEM_ROLES:
            self._read_system(message, place)
        elif role == "assistant":
            self._add(("assistant", self._assistant(message, place)))
        elif role in _RESULT_ROLES:
            self._add(("user", [self._result(message, role, place)]))
        else:
            self._add(("user", self._blocks(message, place)))

    def _add(self, turn: Turn) -> None:
        role, blocks = turn
        if not blocks:
            return
        if self.turns and self.turns[-1][0] == role:
            self.turns[-1][1].extend(blocks)
        else:
            self.turns.append(turn)

    def _blocks(self, message: Message, place: str) -> list[Block]:
        return read_parts(message.get("content"), f"{place}.content", self._notes)

    def _words(self, message: Message, place: str) -> list[Block]:
        return read_words(message.get("content"), f"{place}.content", self._notes)

    def _read_system(self, message: Message, place: str) -> None:
        texts = [block["text"] for block in self._words(message, place)]
        if self.turns:
            self._add(("user", _reminders(texts)))
        else:
            self.system += texts

    def _assistant(self, message: Message, place: str) -> list[Block]:
        if message.get("reasoning_content"):
            self._notes.add("dropped", "reasoning_content")  # without a signature, it is refused
        blocks = self._words(message, place)
        blocks += text_blocks(text_of(message.get("refusal")))
        calls = _listed(message.get("tool_calls") or [], f"{place}.tool_calls")
        blocks += [
            _tool_use(call, f"{place}.tool_calls.{index}") for index, call in enumerate(calls)
        ]
        if isinstance(message.get("function_call"), dict):
            # OpenAI's older form has no ids; the place of the call in the history is one
            self._function_id = "function_call_" + place.partition(".")[2]
            call = {"id": self._function_id, "function": message["function_call"]}
            blocks.append(_tool_use(call, f"{place}.function_call"))
        return blocks

    def _result(self, message: Message, role: str, place: str) -> Block:
        call_id = self._function_id if role == "function" else message.get("tool_call_id")
        if not isinstance(call_id, str):
            raise BadRequest(f"{place}.tool_call_id: Field required")
        block: Block = {"type": "tool_result", "tool_use_id": call_id}
        content = self._blocks(message, place)
        return block | {"content": content} if content else block


def _listed(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        problem = "Field required" if value is None else "Input should be a valid array"
        raise BadRequest(f"{place}: {problem}")
    return value


def _tool_use(call: Any, place: str) -> Block:
    call = object_of(call)
    if not isinstance(call.get("id"), str):
        raise BadRequest(f"{place}.id: Field required")
    is_custom = call.get("type") == "custom"
    called = object_of(call.get("custom" if is_custom else "function"))
    name = text_of(called.get("name"))
    if not name:
        raise BadRequest(f"{place}.name: Field required")
    value = {"input": called.get("input")} if is_custom else _input(called.get("arguments"))
    return {"type": "tool_use", "id": call["id"], "name": name, "input": value}


def _input(arguments: Any) -> Any:
    """The input of a call: its arguments parsed, or what says that they could not be."""
    if arguments is None:
        return {}
    text = arguments if isinstance(arguments, str) else _encode(arguments).decode()
    return {} if is_blank(text) else parse_tool_input(text)


def _reminders(texts: list[str]) -> list[Block]:
    """Late system text as user text, marked for what it is."""
    return [
        {
            "type": "text",
            "text": text
            if text.lstrip().startswith(_REMINDER_START)
            else f"{_REMINDER_START}\n{text}\n</system-reminder>",
        }
        for text in texts
    ]


def _trim_prefill(turn: Turn) -> None:
    """A conversation may not end with an assistant's blanks; backends refuse them."""
    role, blocks = turn
    if role == "assistant":
        blocks[-1] = {"type": "text", "text": blocks[-1]["text"].rstrip()}
