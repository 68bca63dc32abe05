"""The client's messages as alternating turns of blocks (translation spec, 1.2 and 1.3.1 to 1.3.4).

Reads every message, checks what can not be repaired, puts system messages where the backend takes
them, drops what says nothing, and merges neighbours of one role. `pairing.py` writes the result.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxyd.dialects.openai_chat.blocks import REMINDER_CLOSE, REMINDER_OPEN, is_kept
from llmproxyd.dialects.openai_chat.scope import Block, Scope, is_blank, kind_of, text_of
from llmproxyd.errors import BadRequest

BILLING_LINE = "x-anthropic-billing-header:"
CONTINUED = "(conversation continues)"

_ROLES = frozenset({"user", "assistant", "system"})
_REQUIRED: dict[str, tuple[str, ...]] = {
    "tool_use": ("id", "name"),
    "tool_result": ("tool_use_id",),
}


class Turn(msgspec.Struct):
    """Consecutive messages of one role, as one.

    Attributes:
        role: `user`, `assistant`, or `system` where the backend takes it in place.
        blocks: content blocks that translation makes something of; never empty.
    """

    role: str
    blocks: list[Block]

    @property
    def calls(self) -> list[Block]:
        """The tool_use blocks of an assistant turn."""
        if self.role != "assistant":
            return []
        return [block for block in self.blocks if kind_of(block) == "tool_use"]

    @property
    def has_user_text(self) -> bool:
        """The user says something: not only tool results, not only reminders (section 1.9)."""
        return self.role == "user" and any(map(_is_said, self.blocks))


def _is_said(block: Block) -> bool:
    kind = kind_of(block)
    return kind != "tool_result" and not (
        kind == "text" and block["text"].startswith(REMINDER_OPEN)
    )


class Conversation(msgspec.Struct, frozen=True):
    """The messages of one request, read.

    Attributes:
        turns: in order; neighbours differ in role.
        hoisted: texts of system messages that belong to the top system prompt.
        effort: what the last system message with an `output_config` asks for; None without.
    """

    turns: list[Turn]
    hoisted: list[str]
    effort: Any = None

    @property
    def is_prefilled(self) -> bool:
        """The last message is the assistant's own beginning of an answer."""
        last = self.turns[-1]
        return last.role == "assistant" and not last.calls


def system_text(system: Any) -> str:
    """The system prompt as one text; "" when nothing is in it (section 1.2)."""
    blocks = system if isinstance(system, list) else [system]
    texts = (
        text_of(block.get("text")) if isinstance(block, dict) else text_of(block)
        for block in blocks
    )
    return "\n\n".join(text for text in map(_without_billing, texts) if not is_blank(text))


def _without_billing(text: str) -> str:
    # It changes with every request, and would defeat every prompt cache. The client sends it as
    # a block of its own; a client that glues its prompt behind it must not lose the prompt.
    return text.partition("\n")[2] if text.startswith(BILLING_LINE) else text


def read_conversation(messages: list[Any], scope: Scope) -> Conversation:
    """Normalise `messages`.

    Raises:
        BadRequest: a message or block that can not be repaired, or nothing to say at all.
    """
    read = [_read_message(index, message, scope) for index, message in enumerate(messages)]
    mode = scope.quirks.mid_system
    if all(role == "system" for role, kept in read if kept):
        mode = "inline"  # only then is there a turn to answer
    hoisted: list[str] = []
    turns: list[Turn] = []
    for role, kept in read:
        if role != "system":
            _append(turns, role, kept)
        elif mode == "hoist":
            hoisted += filter(None, [_joined_text(kept)])
        elif mode == "native":
            _append_system(turns, kept)
        else:
            _append(turns, "user", _as_reminder(kept))
    turns = _without_silent(turns, scope)
    if not turns:
        raise BadRequest("messages: at least one message is required")
    if turns[0].role == "assistant" and scope.quirks.first_user_required:
        turns.insert(0, Turn("user", [_text_block(CONTINUED)]))
    if mode == "native":
        _move_systems_behind_results(turns)
    return Conversation(turns, hoisted, _last_effort(messages))


def _read_message(index: int, message: Any, scope: Scope) -> tuple[str, list[Block]]:
    """Role and kept blocks of one message; only what can not be repaired is refused."""
    if not isinstance(message, dict):
        raise BadRequest(f"messages.{index}: Input should be an object")
    given = message.get("role")
    role = given if isinstance(given, str) and given in _ROLES else "user"
    # A system message may be there for its `output_config` alone.
    content = message.get("content", [] if role == "system" else None)
    if isinstance(content, str):
        content = [content]
    elif not isinstance(content, list):
        problem = "Field required" if content is None else "Input should be a string or an array"
        raise BadRequest(f"messages.{index}.content: {problem}")
    kept: list[Block] = []
    for place, item in enumerate(content):
        block = _text_block(item) if isinstance(item, str) else item
        if isinstance(block, dict):
            _check_block(block, index, place)
            if is_kept(block, role, scope):
                kept.append(block)
    return role, kept


def _check_block(block: Block, index: int, place: int) -> None:
    for field in _REQUIRED.get(kind_of(block), ()):
        value = block.get(field)
        if not isinstance(value, str):
            problem = "Field required" if value is None else "Input should be a string"
            where = f"messages.{index}.content.{place}.{block['type']}.{field}"
            raise BadRequest(f"{where}: {problem}")


def _text_block(text: str) -> Block:
    return {"type": "text", "text": text}


def _append(turns: list[Turn], role: str, blocks: list[Block]) -> None:
    """Add blocks as a turn, or to the last turn if that has the same role."""
    if not blocks:
        return
    if turns and turns[-1].role == role:
        turns[-1].blocks += blocks
    else:
        turns.append(Turn(role, list(blocks)))


def _append_system(turns: list[Turn], blocks: list[Block]) -> None:
    text = _joined_text(blocks)
    if text:
        _append(turns, "system", [_text_block(text)])


def _joined_text(blocks: list[Block]) -> str:
    return "\n\n".join(block["text"] for block in blocks if kind_of(block) == "text")


def _as_reminder(blocks: list[Block]) -> list[Block]:
    """A system message as blocks of a user message.

    The client sends the same message as a string on one turn and as blocks on the next, so the
    text is joined first: both forms must read the same upstream.
    """
    others = [block for block in blocks if kind_of(block) != "text"]
    text = _joined_text(blocks)
    if not text:
        return others
    bare = text.strip()
    if not (bare.startswith(REMINDER_OPEN) and bare.endswith(REMINDER_CLOSE)):
        text = f"{REMINDER_OPEN}\n{text}\n{REMINDER_CLOSE}"
    return [_text_block(text), *others]


def _without_silent(turns: list[Turn], scope: Scope) -> list[Turn]:
    """Without assistant turns that hold nothing but thinking; their neighbours merge."""
    out: list[Turn] = []
    for turn in turns:
        if turn.role == "assistant" and all(kind_of(b) == "thinking" for b in turn.blocks):
            scope.note("dropped_turn", "thinking")
        else:
            _append(out, turn.role, turn.blocks)
    return out


def _move_systems_behind_results(turns: list[Turn]) -> None:
    """Nothing may stand between calls and their results, a native system message neither."""
    for index in range(1, len(turns) - 1):
        before, here, after = turns[index - 1 : index + 2]
        if before.calls and here.role == "system" and after.role == "user":
            turns[index], turns[index + 1] = after, here


def _last_effort(messages: list[Any]) -> Any:
    """The effort of the last system message that sets one: it is this turn's effort."""
    for message in reversed(messages):
        config = message.get("output_config") if message.get("role") == "system" else None
        if isinstance(config, dict) and config.get("effort") is not None:
            return config["effort"]
    return None
