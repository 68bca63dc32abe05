"""What a fake answers, in words that both wire formats share, and the scripts that a prompt names.

A prompt chooses its answer with a marker: `[[stub:NAME key=value ...]]` in the newest message that a
person typed. The turn within a script is the number of assistant messages after that message, so a
tool loop needs no state and survives a proxy, a retry, a second session or a replay.

SCRIPTS (`_` in a text parameter is a blank)
    text [t=]              tool_loop [dir=]   Bash, then Write, then text
    bash [cmd=... + is a blank]               parallel   two Bash calls in one turn
    read [path=]           image_read [path=] thinking, thinking_tool, redacted, nosig
    webfetch [url=]  websearch [q=]  task  todo  toolsearch [q=]  bashbig [n=]  badjson  openaiids
    err [status= type= msg= code= retry_after= retry_after_ms= should_retry=]
    err400 err401 err403 err404 err413 err429 err500 err503 err529   presets of err
    toolong [tokens= max=] context overflow      html502   a gateway's HTML error page
    drop                   closed before any response byte
    cut [after=N mode=fin|rst|clean tool=1]   stream cut after N events, of a tool call
    errevent [after=N type= msg=]             an error event after N events
    slow [s= ping=]        headers at once, first event after s seconds
    slowhdr [s=]           nothing at all for s seconds
    stall [after=N s= ping=]                  a pause after N events
        ping: what comes every 5 s meanwhile; 0 nothing, 1 pings, c comments, e empty deltas, u unknown
    hold [after=N]         a stream that waits after N events until the test releases it or leaves
    noping nousage zerousage lateusage nostop nodelta unknown unk [k=] json empty emptycontent nosseheader
    crlf dataonly split interleave maxtokens refusal pauseturn ctxwindow nullstop
    big [kb=]  longstream [n= gap=]
Parameters of all scripts: `times=K` fails the first K attempts of a turn, then answers text; `any=1`
acts on side calls too; `close=1`, `model=`, `safeguards=ok|flag|unavailable`, `id=` (a fresh count).
Faults of the stream do not touch a non-streaming request, so a client's fallback finds an answer.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

Block = dict[str, Any]
Params = dict[str, str]

MARKER = re.compile(r"\[\[stub:([a-z0-9_]+)((?:\s+[a-z_]+=[^\s\]]*)*)\s*\]\]")
# Texts with which the CLI itself goes on after a cut answer, e.g. stop_reason max_tokens.
CONTINUATIONS = (
    "Output token limit hit",
    "Your response was cut off",
    "Your response above was",
    "[Your previous",
    "Continue from where you left off",
    "[SYSTEM",
)
FINAL = "stub-final-answer"
SIGNATURE = "c3R1Yi1zaWduYXR1cmUtbm90LXJlYWw="


@dataclass(frozen=True)
class ErrorAnswer:
    """An HTTP error. `code` and `type` are None where the wire format has a usual one."""

    status: int
    message: str
    type: str | None = None
    code: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RawAnswer:
    """Bytes instead of an answer."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Answer:
    """One answer; the default is a short text. Waits are in seconds, `after` counts events."""

    content: tuple[Block, ...] = ({"type": "text", "text": "stub-ok"},)
    stop_reason: str | None = "auto"
    model: str | None = None
    usage: str = "full"  # full | none | zero | late
    chunk: int = 24
    error: ErrorAnswer | None = None
    raw: RawAnswer | None = None
    drop: bool = False
    close: bool = False
    as_json: bool = False
    empty: bool = False
    cut_after: int | None = None
    cut_mode: str = "fin"
    error_after: int | None = None
    error_event: ErrorAnswer | None = None
    wait_before_headers_s: float = 0.0
    wait_after_headers_s: float = 0.0
    wait_between_s: float = 0.0
    stall_after: int | None = None
    stall_s: float = 0.0
    keepalive: str = "0"
    hold_after: int | None = None
    content_type: str = "text/event-stream; charset=utf-8"
    crlf: bool = False
    dataonly: bool = False
    split: bool = False
    interleave: bool = False
    omit: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    safeguards: str | None = None

    @property
    def stop(self) -> str | None:
        """The stop reason, worked out from the content when the script names none."""
        if self.stop_reason != "auto":
            return self.stop_reason
        has_tool = any(block["type"] == "tool_use" for block in self.content)
        return "tool_use" if has_tool else "end_turn"


def text(words: str) -> Block:
    """A text block."""
    return {"type": "text", "text": words}


def tool(name: str, **arguments: Any) -> Block:
    """A tool call with a fresh id."""
    return {
        "type": "tool_use",
        "id": f"toolu_{uuid.uuid4().hex[:24]}",
        "name": name,
        "input": arguments,
    }


def thinking(words: str = "Let me think about the stub.", signature: str = SIGNATURE) -> Block:
    """A thinking block."""
    return {"type": "thinking", "thinking": words, "signature": signature}


@dataclass(frozen=True)
class Marker:
    """A script that a prompt asked for, and how far the conversation is into it."""

    name: str
    params: Params
    turn: int


@dataclass
class Talk:
    """A conversation as the scripts see it: who said what, oldest first, and where it happens.

    Each entry is (role, texts): role `user` for what a person typed (reminders and tool results
    left out; an empty list if that leaves nothing), `assistant` for the model.
    """

    said: list[tuple[str, list[str]]] = field(default_factory=list)
    cwd: str = "/tmp"

    def marker(self) -> Marker | None:
        """The marker in the newest message a person typed; older markers are spent."""
        for position in range(len(self.said) - 1, -1, -1):
            role, texts = self.said[position]
            if role != "user" or not texts:
                continue
            hits = [hit for words in texts for hit in MARKER.finditer(words)]
            if hits:
                params = dict(pair.split("=", 1) for pair in hits[-1].group(2).split())
                turn = sum(1 for later, _ in self.said[position + 1 :] if later == "assistant")
                return Marker(hits[-1].group(1), params, turn)
            if not any(words.lstrip().startswith(CONTINUATIONS) for words in texts):
                return None
        return None


def _blanks(words: str) -> str:
    return words.replace("_", " ")


def _bash(command: str = "echo hello-from-tool", description: str = "Say hello") -> Block:
    return tool("Bash", command=command, description=description)


# The content of each turn of a script; after the last one comes the final text.
_TURNS: dict[str, Callable[[Params, str], list[list[Block]]]] = {
    "text": lambda p, cwd: [],
    "tool_loop": lambda p, cwd: [
        [text("Running a command."), _bash()],
        [tool("Write", file_path=f"{cwd}/stub-written.txt", content="written by stub\n")],
    ],
    "bash": lambda p, cwd: [[_bash(p.get("cmd", "echo+hello-from-tool").replace("+", " "))]],
    "bashbig": lambda p, cwd: [
        [_bash(f"head -c {p.get('n', '20000')} /dev/zero | tr '\\0' x", "big output")]
    ],
    "parallel": lambda p, cwd: [[_bash("echo one", "one"), _bash("echo two", "two")]],
    "read": lambda p, cwd: [[tool("Read", file_path=p.get("path", f"{cwd}/README.md"))]],
    "image_read": lambda p, cwd: [[tool("Read", file_path=p.get("path", f"{cwd}/dot.png"))]],
    "thinking": lambda p, cwd: [[thinking(), text("stub-answer-after-thinking")]],
    "thinking_tool": lambda p, cwd: [
        [thinking("First I run a command."), text("Running."), _bash()],
        [thinking("Now I am done."), text(FINAL)],
    ],
    "redacted": lambda p, cwd: [
        [{"type": "redacted_thinking", "data": "c3R1YnJlZGFjdGVk"}, _bash("echo hi", "hi")]
    ],
    "nosig": lambda p, cwd: [[thinking("unsigned", ""), text("Running."), _bash("echo hi", "hi")]],
    "webfetch": lambda p, cwd: [
        [tool("WebFetch", url=p.get("url", "http://127.0.0.1:9/x"), prompt="what is it")]
    ],
    "websearch": lambda p, cwd: [[tool("WebSearch", query=_blanks(p.get("q", "stub_query")))]],
    "task": lambda p, cwd: [
        [
            tool(
                "Agent",
                description="stub subagent",
                prompt="Say hi.",
                subagent_type="general-purpose",
            )
        ]
    ],
    "todo": lambda p, cwd: [
        [tool("TodoWrite", todos=[{"content": "a", "status": "pending", "activeForm": "doing a"}])]
    ],
    "toolsearch": lambda p, cwd: [
        [tool("ToolSearch", query=_blanks(p.get("q", "select:WebFetch")), max_results=5)]
    ],
    "openaiids": lambda p, cwd: [[{**_bash("echo hi", "hi"), "id": "call_abc:0"}]],
    "badjson": lambda p, cwd: [
        [{**_bash("echo hi"), "_raw_json": '{"command": "echo hi", "descr'}]
    ],
}

# status, Anthropic type, message; each wire format has its own usual type and code.
ERRORS: dict[str, tuple[int, str]] = {
    "err": (500, "stub internal server error"),
    "err400": (400, "stub says this request is invalid"),
    "err401": (401, "invalid api key (stub)"),
    "err403": (403, "stub denies permission"),
    "err404": (404, "model: stub-unknown-model"),
    "err413": (413, "Request exceeds the maximum size (stub)"),
    "err429": (429, "stub rate limit reached"),
    "err500": (500, "stub internal server error"),
    "err503": (503, "stub unavailable"),
    "err529": (529, "Overloaded (stub)"),
    "toolong": (400, ""),  # the message is the wire format's own
}
OVERFLOW = "toolong"

_OPTIONS: dict[str, Callable[[Params], dict[str, Any]]] = {
    "noping": lambda p: {"omit": frozenset({"ping"})},
    "nousage": lambda p: {"usage": "none"},
    "zerousage": lambda p: {"usage": "zero"},
    "lateusage": lambda p: {"usage": "late"},
    "nostop": lambda p: {"omit": frozenset({"message_stop"})},
    "nodelta": lambda p: {"omit": frozenset({"message_delta"})},
    "unknown": lambda p: {"unknown": frozenset({"event", "delta", "block", "field"})},
    "unk": lambda p: {"unknown": frozenset({p.get("k", "event")})},
    "json": lambda p: {"as_json": True},
    "empty": lambda p: {"empty": True},
    "emptycontent": lambda p: {"content": ()},
    "nosseheader": lambda p: {"content_type": "application/octet-stream"},
    "crlf": lambda p: {"crlf": True},
    "dataonly": lambda p: {"dataonly": True},
    "split": lambda p: {"split": True},
    "interleave": lambda p: {
        "interleave": True,
        "content": (text("first block"), text("second block")),
    },
    "maxtokens": lambda p: {"stop_reason": "max_tokens"},
    "refusal": lambda p: {"stop_reason": "refusal"},
    "pauseturn": lambda p: {"stop_reason": "pause_turn"},
    "nullstop": lambda p: {"stop_reason": None},
    "ctxwindow": lambda p: {"stop_reason": "model_context_window_exceeded"},
    "drop": lambda p: {"drop": True},
    "html502": lambda p: {
        "raw": RawAnswer(
            502, "text/html", b"<html><body><h1>502 Bad Gateway</h1>stub nginx</body></html>"
        )
    },
    "slow": lambda p: {
        "wait_after_headers_s": float(p.get("s", "20")),
        "keepalive": p.get("ping", "0"),
    },
    "slowhdr": lambda p: {"wait_before_headers_s": float(p.get("s", "20"))},
    "cut": lambda p: {
        "cut_after": int(p.get("after", "4")),
        "cut_mode": p.get("mode", "fin"),
        **({"content": (_bash(),)} if p.get("tool") == "1" else {}),
    },
    "stall": lambda p: {
        "stall_after": int(p.get("after", "4")),
        "stall_s": float(p.get("s", "600")),
        "keepalive": p.get("ping", "0"),
    },
    "hold": lambda p: {"hold_after": int(p.get("after", "4"))},
    "errevent": lambda p: {
        "error_after": int(p.get("after", "4")),
        "error_event": ErrorAnswer(
            529,
            _blanks(p.get("msg", "Overloaded_(stub_event)")),
            p.get("type", "overloaded_error"),
            p.get("code"),
        ),
    },
    "big": lambda p: {"content": (text("lorem ipsum " * (int(p.get("kb", "64")) * 1024 // 12)),)},
    "longstream": lambda p: {
        "content": (text("".join(f"tick{i} " for i in range(int(p.get("n", "50"))))),),
        "chunk": 6,
        "wait_between_s": float(p.get("gap", "1")),
    },
}


def _error(name: str, params: Params) -> ErrorAnswer:
    status, message = ERRORS[name]
    if name == OVERFLOW:
        message = f"{params.get('tokens', '250001')} {params.get('max', '200000')}"
    pairs = [
        (header, params[key])
        for key, header in (
            ("retry_after", "retry-after"),
            ("retry_after_ms", "retry-after-ms"),
            ("should_retry", "x-should-retry"),
        )
        if key in params
    ]
    return ErrorAnswer(
        int(params.get("status", status)),
        _blanks(params["msg"]) if "msg" in params else message,
        params.get("type"),
        "overflow" if name == OVERFLOW and "msg" not in params else params.get("code"),
        tuple(pairs),
    )


def scripted(marker: Marker, cwd: str) -> Answer:
    """The answer of one turn of a script."""
    name, params = marker.name, marker.params
    common: dict[str, Any] = {
        "close": params.get("close") == "1",
        "model": params.get("model"),
        "safeguards": params.get("safeguards"),
    }
    if name in ERRORS:
        return Answer(error=_error(name, params), **common)
    if name in _TURNS:
        turns = _TURNS[name](params, params.get("dir") or cwd)
        if marker.turn < len(turns):
            return Answer(content=tuple(turns[marker.turn]), **common)
        return Answer(content=(text(_blanks(params["t"]) if "t" in params else FINAL),), **common)
    if name in _OPTIONS:
        answer = Answer(content=(text(f"stub-answer for {name}. " + "word " * 12),), **common)
        return replace(answer, **_OPTIONS[name](params))
    return Answer(content=(text(f"stub: unknown scenario {name}"),))
