"""Request bodies shaped like those of the Claude CLI; deterministic, of an exact size."""

from __future__ import annotations

import json
import random
from typing import Any

Json = dict[str, Any]

# The CLI's short requests (titles, topics), a first question, its usual size, and long sessions.
SIZES = {
    "0.4k": 400,
    "2k": 2 * 1024,
    "100k": 100 * 1024,
    "400k": 400 * 1024,
    "2m": 2 * 1024 * 1024,
}
_WITH_TOOLS = 50 * 1024  # bodies from this size on carry the CLI's system prompt and tools

_PROSE = (
    "file path line edit read write search pattern replace command output shell test build commit "
    "branch directory result error message context user assistant should never always must when "
    "before after unless ensure prefer avoid return value type string number default optional "
    "required argument option the a of to in and or with for from into only every each this that"
)
_WORDS = _PROSE.split()
_TOOL_NAMES = (
    "Task Bash Glob Grep LS ExitPlanMode Read Edit MultiEdit Write NotebookEdit WebFetch TodoWrite "
    "WebSearch BashOutput KillShell SlashCommand Skill ListResources ReadResource AskUser "
    "EnterWorktree TaskOutput StructuredOutput"
)
_CODE = '''def handle(self, request):
    """Return the answer for one request."""
    if request.get("kind") == "a\\\\b":
        raise ValueError(f"bad kind: {request['kind']!r}")  # café — ✓
    return {"ok": True, "n": 1.5e3, "t": "\\t"}
'''


def body(size: str, model: str, *, stream: bool) -> bytes:
    """A request of `SIZES[size]` bytes, written as JSON.stringify would."""
    length = SIZES[size]
    request = _session(model) if length >= _WITH_TOOLS else _question(model)
    if stream:
        request["stream"] = True
    rng = random.Random(length)
    used = len(_encode(request))
    turn = 0
    while length >= _WITH_TOOLS and used < length - 4000:
        turn += 1
        messages = _turn(rng, turn)
        request["messages"] += messages
        used += len(_encode(messages)) - 1  # two brackets less, one comma more
    last = request["messages"][-1]["content"][-1]
    last["cache_control"] = {"type": "ephemeral"}
    text = "text" if "text" in last else "content"
    last[text] += _ascii_prose(rng, length - len(_encode(request)))
    return _encode(request)


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _question(model: str) -> Json:
    return {
        "model": model,
        "max_tokens": 512,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Make a title: "}]}],
        "system": [{"type": "text", "text": "Answer with a short title only, as JSON."}],
        "metadata": {"user_id": "user_" + "0" * 64},
    }


def _session(model: str) -> Json:
    rng = random.Random(20251)
    cached = {"type": "ephemeral"}
    tools = [
        {
            "name": name,
            "description": _prose(rng, rng.choice([400, 900, 1600, 4200])),
            "input_schema": _schema(rng),
        }
        for name in _TOOL_NAMES.split()
    ]
    reminder = f"<system-reminder>\n{_prose(rng, 900)}</system-reminder>"
    question = "Please fix the failing test and explain the change."
    return {
        "model": model,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": text} for text in (reminder, question)],
            }
        ],
        "system": [
            {
                "type": "text",
                "text": "You are a coding agent in a terminal.",
                "cache_control": cached,
            },
            {"type": "text", "text": _prose(rng, 11_000), "cache_control": cached},
            {"type": "text", "text": _prose(rng, 2500)},
        ],
        "tools": tools,
        "metadata": {"user_id": "user_" + "0" * 64 + "_account__session_" + "0" * 36},
        "max_tokens": 32_000,
    }


def _turn(rng: random.Random, number: int) -> list[Json]:
    """The assistant calls a tool, and the tool answers."""
    tool_id = f"toolu_{number:024d}"
    lines = (_CODE * 5).split("\n")
    return [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": _prose(rng, 180)},
                {
                    "type": "tool_use",
                    "id": tool_id,
                    "name": rng.choice(["Read", "Grep", "Bash"]),
                    "input": {"file_path": f"/src/module_{number}.py", "offset": number},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "tool_use_id": tool_id,
                    "type": "tool_result",
                    "content": "".join(f"{n:6d}\u2192{line}\n" for n, line in enumerate(lines, 1)),
                }
            ],
        },
    ]


def _schema(rng: random.Random) -> Json:
    properties: Json = {}
    for number in range(rng.randint(2, 6)):
        kind = rng.choice(["string", "number", "boolean", "array", "enum"])
        member: Json = {"type": kind, "description": _prose(rng, 90)}
        if kind == "array":
            status = {"type": "string", "enum": ["pending", "done"]}
            content = {"type": "string", "minLength": 1}
            member["items"] = {
                "type": "object",
                "properties": {"content": content, "status": status},
                "required": ["content", "status"],
                "additionalProperties": False,
            }
        elif kind == "enum":
            member |= {"type": "string", "enum": ["content", "files_with_matches", "count"]}
        properties[f"{rng.choice(_WORDS)}_{number}"] = member
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "required": list(properties)[:2],
        "additionalProperties": False,
    }


def _prose(rng: random.Random, length: int) -> str:
    parts = []
    size = 0
    while size < length:
        words = " ".join(rng.choices(_WORDS, k=rng.randint(7, 16))).capitalize()
        sentence = words + rng.choice([". ", ".\n", ":\n- ", "! "])
        if rng.random() < 0.12:
            sentence += '`"quoted"` <example>\n'
        parts.append(sentence)
        size += len(sentence)
    return "".join(parts)[:length]


def _ascii_prose(rng: random.Random, length: int) -> str:
    """Text whose JSON form is `length` bytes long."""
    words: list[str] = []
    size = 0
    while size < length:
        words.append(rng.choice(_WORDS))
        size += len(words[-1]) + 1
    return " ".join(words).ljust(length)[:length]
