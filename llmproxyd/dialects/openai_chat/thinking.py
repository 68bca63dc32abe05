"""Thinking: how hard the model may think, and what it thought before (translation spec, 1.9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from llmproxyd.dialects.openai_chat.messages import Turn
from llmproxyd.dialects.openai_chat.scope import kind_of, text_of
from llmproxyd.spi import Quirks, ReasoningStore
from llmproxyd.wire.signature import is_ours

OFF = "off"
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_BUDGET_LEVELS = ((4096, "low"), (16384, "medium"))


class Thinking(msgspec.Struct, frozen=True):
    """What the client asks for.

    Attributes:
        level: `off`, an effort, or None to leave it to the backend.
        budget: tokens, when a budget and no effort decided the level; else None.
        is_wanted: thinking blocks are to be in the answer.
        is_omitted: they are to come without their text.
    """

    level: str | None
    budget: int | None
    is_wanted: bool
    is_omitted: bool

    def switched_off(self) -> Thinking:
        """The same without thinking upstream."""
        return msgspec.structs.replace(self, level=OFF, budget=None)


def read_thinking(body: dict[str, Any], turn_effort: Any = None) -> Thinking:
    """What `thinking` and the effort ask for.

    Args:
        body: the decoded request.
        turn_effort: effort of a system message, which beats that of the whole request.
    """
    config = body.get("thinking")
    config = config if isinstance(config, dict) else {}
    kind = config.get("type")
    effort = _effort(turn_effort) or _effort(_member(body.get("output_config"), "effort"))
    budget = None if effort or kind != "enabled" else _tokens(config.get("budget_tokens"))
    level = effort or (None if budget is None else _budget_level(budget))
    is_wanted = bool(config) and kind != "disabled"
    return Thinking(
        level=OFF if kind == "disabled" else level,
        budget=budget,
        is_wanted=is_wanted,
        is_omitted=is_wanted and config.get("display") == "omitted",
    )


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _tokens(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _effort(value: Any) -> str | None:
    return value if value in _EFFORTS else None


def _budget_level(budget: int) -> str:
    return next((level for limit, level in _BUDGET_LEVELS if budget <= limit), "high")


def thinking_fields(thinking: Thinking, quirks: Quirks) -> dict[str, Any]:
    """The request fields that say `thinking` to this backend; empty to say nothing."""
    if not quirks.reasoning or thinking.level is None:
        return {}
    return _CONTROLS[quirks.reasoning_control](thinking, quirks)


def _word(level: str, quirks: Quirks) -> str:
    """The effort as backends know it: `high` stands for what lies above it."""
    is_above = level in ("xhigh", "max")
    return "high" if is_above and not quirks.effort_xhigh else level


def _effort_field(off: str | None) -> Callable[[Thinking, Quirks], dict[str, Any]]:
    """`reasoning_effort`, with `off` as its lowest word; None leaves the field out then."""

    def fields(thinking: Thinking, quirks: Quirks) -> dict[str, Any]:
        level = str(thinking.level)
        word = off if level == OFF else _word(level, quirks)
        return {} if word is None else {"reasoning_effort": word}

    return fields


def _none_only(thinking: Thinking, _quirks: Quirks) -> dict[str, Any]:
    return {"reasoning_effort": "none"} if thinking.level == OFF else {}


def _chat_template(thinking: Thinking, _quirks: Quirks) -> dict[str, Any]:
    return {"chat_template_kwargs": {"enable_thinking": thinking.level != OFF}}


def _chat_template_budget(thinking: Thinking, quirks: Quirks) -> dict[str, Any]:
    budget = {} if thinking.budget is None else {"thinking_budget_tokens": thinking.budget}
    return _chat_template(thinking, quirks) | budget


def _openrouter(thinking: Thinking, quirks: Quirks) -> dict[str, Any]:
    if thinking.level == OFF:
        return {"reasoning": {"enabled": False}}
    if thinking.budget is not None:
        return {"reasoning": {"max_tokens": thinking.budget}}
    return {"reasoning": {"effort": _word(str(thinking.level), quirks)}}


def _thinking_type(thinking: Thinking, _quirks: Quirks) -> dict[str, Any]:
    return {"thinking": {"type": "disabled" if thinking.level == OFF else "enabled"}}


_CONTROLS: dict[str, Callable[[Thinking, Quirks], dict[str, Any]]] = {
    "effort": _effort_field("none"),
    "effort_always_on": _effort_field("low"),
    "effort_or_omit": _effort_field(None),
    "none_only": _none_only,
    "chat_template": _chat_template,
    "chat_template_budget": _chat_template_budget,
    "openrouter": _openrouter,
    "thinking_type": _thinking_type,
}


def first_reasoning_turn(turns: Sequence[Turn], quirks: Quirks) -> int:
    """Index from which on assistant turns keep their reasoning: the running tool loop.

    Chat templates drop the reasoning of earlier turns themselves; `reasoning_in_all` is for
    backends that insist on all of it.
    """
    if quirks.reasoning_in == "drop":
        return len(turns)
    if quirks.reasoning_in_all:
        return 0
    said = (index for index in range(len(turns) - 1, -1, -1) if turns[index].has_user_text)
    return next(said, 0)


def turn_reasoning(turn: Turn, store: ReasoningStore | None) -> str:
    """What an assistant turn's thinking said; "" when there is none, or it is lost.

    Blocks come back without their text when the client asked for that, and not at all when it
    did not ask for thinking; the store then has the text under the signature or the tool id.
    """
    blocks = [block for block in turn.blocks if kind_of(block) == "thinking"]
    texts = [text_of(block.get("thinking")) or _stored(block, store) for block in blocks]
    if not blocks and store is not None:
        found = (store.get(call["id"]) for call in turn.calls)
        texts = [next(filter(None, found), "")]
    return "\n".join(filter(None, texts))


def _stored(block: dict[str, Any], store: ReasoningStore | None) -> str:
    signature = text_of(block.get("signature"))
    if store is None or not is_ours(signature):
        return ""
    return store.get(signature) or ""
