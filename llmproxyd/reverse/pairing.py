"""Tool calls and their results, as a Messages backend insists on them.

Every tool_use has exactly one tool_result, in front of the user turn that follows, and no id
occurs twice. Clients keep to less: results may be missing, doubled or out of place, and ids of
small servers repeat from turn to turn (translation spec, section 1.3).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from llmproxyd.reverse.fields import Block, Turn

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASH_HEX: Final = 24
_NO_RESULT: Final = "(no result was recorded for this tool call)"

# The id that the client knows a call by, and the id that it goes up with.
_Call = tuple[str, str]


def pair_tools(turns: list[Turn]) -> list[Turn]:
    """The turns with unique ids and with a result right after each call.

    Args:
        turns: alternating roles; not changed.
    """
    names = _Names()
    calls: list[_Call] = []
    paired: list[Turn] = []
    for role, blocks in turns:
        if role == "user":
            paired.append((role, _answered(calls, blocks)))
            calls = []
        else:
            renamed = [names.renamed(block) for block in blocks]
            calls = [
                (block["id"], new["id"])
                for block, new in zip(blocks, renamed, strict=True)
                if block["type"] == "tool_use"
            ]
            paired.append((role, renamed))
    if calls:
        paired.append(("user", _answered(calls, [])))
    return paired


class _Names:
    """Gives each call an id that no earlier call has; depends on what came before only."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = {}

    def renamed(self, block: Block) -> Block:
        if block["type"] != "tool_use":
            return block
        base = name = _valid(block["id"])
        while name in self._uses:
            self._uses[base] += 1
            name = f"{base}_{self._uses[base]}"
        self._uses[name] = 1
        return block | {"id": name}


def _valid(call_id: str) -> str:
    """`call_id`, or what stands for it where the id has characters that are not allowed."""
    if _ID.fullmatch(call_id):
        return call_id
    return "call_" + hashlib.sha256(call_id.encode()).hexdigest()[:_HASH_HEX]


def _answered(calls: list[_Call], blocks: list[Block]) -> list[Block]:
    """A user turn that begins with the results of `calls`, in their order.

    Of results for the same id the first goes to the first call, and so on; the last call takes
    all that are left over. A result of no such call becomes text.
    """
    waiting: dict[str, list[str]] = {}
    for call_id, name in reversed(calls):
        waiting.setdefault(call_id, []).append(name)
    results: dict[str, Block] = {}
    others: list[Block] = []
    for block in blocks:
        if block["type"] != "tool_result":
            others.append(block)
        elif block["tool_use_id"] not in waiting:
            others += _as_text(block)
        else:
            names = waiting[block["tool_use_id"]]
            name = names.pop() if len(names) > 1 else names[0]
            results[name] = _joined(results.get(name), block, name)
    return [*(results.get(name) or _missing(name) for _, name in calls), *others]


def _joined(first: Block | None, block: Block, name: str) -> Block:
    content = [*((first or {}).get("content") or []), *block.get("content", [])]
    result: Block = {"type": "tool_result", "tool_use_id": name}
    return result | {"content": content} if content else result


def _missing(name: str) -> Block:
    content = [{"type": "text", "text": _NO_RESULT}]
    return {"type": "tool_result", "tool_use_id": name, "content": content}


def _as_text(block: Block) -> list[Block]:
    content = block.get("content", [])
    texts = [part["text"] for part in content if part["type"] == "text"]
    head = f"[Result of an earlier tool call {block['tool_use_id']}]"
    return [
        {"type": "text", "text": "\n".join([head, *texts])},
        *(part for part in content if part["type"] != "text"),
    ]
