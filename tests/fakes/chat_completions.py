"""A scripted Chat Completions server with Cerebras' wire format.

Chunks carry `reasoning`, `system_fingerprint`, whole tool calls with nine-digit ids, and `usage` and
`time_info` on the chunk with the finish reason; no `[DONE]` follows (recorded in 2025-10; types of
cerebras-cloud-sdk 1.91.0). Errors are flat. Every request is held against `chat_schema`: a problem
is answered with 400 `wrong_api_format` and kept in `Seen.problems`.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.fakes.answers import MARKER, Answer, ErrorAnswer, Talk
from tests.fakes.anthropic_stub import COMPACTION, messages_of, working_directory
from tests.fakes.chat_schema import Problem, problems_of
from tests.fakes.server import FakeServer, Seen, run

MODELS = ("gpt-oss-120b", "zai-glm-4.7", "qwen-3.8-27b")
REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
LABEL = re.compile(r"^\[(image \d+ |Result of an earlier tool call)", re.MULTILINE)
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
    "pause_turn": "stop",
    "model_context_window_exceeded": "length",
}
# status: type, param, code
USUAL: dict[int, tuple[str, str, str]] = {
    400: ("invalid_request_error", "validation_error", "wrong_api_format"),
    401: ("invalid_request_error", "api_key", "wrong_api_key"),
    402: ("payment_required_error", "billing", "payment_required"),
    403: ("permission_error", "", "permission_denied"),
    404: ("not_found_error", "model", "model_not_found"),
    413: ("invalid_request_error", "body", "request_too_large"),
    422: ("invalid_request_error", "validation_error", "unprocessable_entity"),
    429: ("too_many_requests_error", "quota", "request_quota_exceeded"),
    503: ("service_unavailable_error", "", "service_unavailable"),
}
BUSY = ErrorAnswer(
    429,
    "We're experiencing high traffic right now! Please try again soon.",
    "too_many_requests_error",
    "queue_exceeded",
)
LIMITS = {
    "x-ratelimit-limit-requests-day": "144000",
    "x-ratelimit-limit-tokens-minute": "300000",
    "x-ratelimit-remaining-requests-day": "143999",
    "x-ratelimit-remaining-tokens-minute": "299000",
    "x-ratelimit-reset-requests-day": "33011.382867",
    "x-ratelimit-reset-tokens-minute": "1.382867",
}
# A translating proxy must not hand these on.
FOREIGN = ("x-api-key", "anthropic-version", "anthropic-beta", "x-app", "x-stainless-lang")


class ChatCompletionsFake(FakeServer):
    """Cerebras' Chat Completions, scripted.

    Attributes:
        key: the only key accepted; None takes any Bearer token.
        sends_done: end streams with `data: [DONE]`, as other servers do.
        separate_usage: usage in a chunk of its own with no choices, as other servers do.
    """

    name = "chat"

    def __init__(
        self,
        *,
        port: int = 0,
        log: Path | None = None,
        key: str | None = None,
        sends_done: bool = False,
        separate_usage: bool = False,
    ) -> None:
        super().__init__(port=port, log=log)
        self.key = key
        self.sends_done = sends_done
        self.separate_usage = separate_usage

    def kind_of(self, seen: Seen) -> str:
        if seen.path.endswith("/models") or "/models/" in seen.path:
            return "models"
        if not seen.path.endswith("/v1/chat/completions") or seen.method != "POST":
            return "other"
        if not isinstance(seen.body, dict):
            return "bad"
        users = [m for m in messages_of(seen.body) if m.get("role") == "user"]
        said = f"\n\n{_words(users[-1])}" if users else ""
        if f"\n\n{COMPACTION}" in said:
            return "compact"
        return "main" if seen.body.get("tools") else "side"

    def talk_of(self, seen: Seen) -> Talk:
        messages = messages_of(seen.body)
        said: list[tuple[str, list[str]]] = []
        previous = ""
        for message in messages:
            role = str(message.get("role"))
            if role == "user":
                said.append((role, _typed(message, after_tool=previous == "tool")))
            elif role == "assistant":
                said.append((role, []))
            previous = role
        return Talk(said, working_directory(messages[:4]))

    def answer_headers(self, seen: Seen) -> dict[str, str]:
        return {"inference-id": f"chatcmpl-{uuid.UUID(int=seen.seq)}", **LIMITS}

    def error_event(self, answer: Answer) -> bytes:
        assert answer.error_event is not None
        error = {
            "message": answer.error_event.message,
            "type": answer.error_event.type,
            "param": "",
            "code": answer.error_event.code or "queue_exceeded",
            "id": "",
        }
        body = {"error": error, "status_code": 503}
        return f"data: {json.dumps(body)}\n\n".encode()

    async def respond(self, request: web.Request, seen: Seen, answer: Answer) -> web.StreamResponse:
        refused = self._refused(seen)
        if refused is not None:
            return refused
        if answer.error is not None:
            return self._failure(seen, answer.error)
        if seen.kind == "models":
            return self._models(seen)
        if seen.kind == "other":
            return self._failure(seen, ErrorAnswer(404, "Not found", code="not_found"))
        problems = problems_of(seen.body)
        seen.problems += [str(problem) for problem in problems]
        if problems:
            return self._invalid(seen, problems)
        if not seen.body.get("stream") or answer.as_json:
            return self._json(seen, completion(answer, seen.body))
        events = [_sse(chunk) for chunk in chunks(answer, seen.body, apart=self.separate_usage)]
        if self.sends_done:
            events.append(b"data: [DONE]\n\n")
        return await self.stream(request, seen, answer, events)

    def _refused(self, seen: Seen) -> web.Response | None:
        if seen.kind in ("models", "other"):
            return None
        leaked = [name for name in FOREIGN if name in seen.headers]
        seen.problems += [f"header {name} came through" for name in leaked]
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self.key not in (None, token):
            return self._failure(seen, ErrorAnswer(401, "Wrong API Key"))
        return None

    def _models(self, seen: Seen) -> web.Response:
        models = [
            {"id": name, "object": "model", "created": 1721692800, "owned_by": "Cerebras"}
            for name in MODELS
        ]
        wanted = seen.path.partition("/models")[2].strip("/")
        if not wanted:
            return self._json(seen, {"object": "list", "data": models})
        found = next((model for model in models if model["id"] == wanted), None)
        if found is None:
            return self._failure(seen, ErrorAnswer(404, f"Model {wanted} does not exist"))
        return self._json(seen, found)

    def _json(self, seen: Seen, body: dict[str, Any]) -> web.Response:
        return web.json_response(body, headers=self.answer_headers(seen))

    def _invalid(self, seen: Seen, problems: list[Problem]) -> web.Response:
        body = {
            "message": "\n".join(map(str, problems)),
            "type": "invalid_request_error",
            "param": problems[0].param,
            "code": "wrong_api_format",
        }
        return web.json_response(body, status=400, headers=self.answer_headers(seen))

    def _failure(self, seen: Seen, error: ErrorAnswer) -> web.Response:
        if error.status == 529:  # not a status of this service: the same trouble in its words
            error = BUSY
        if error.code == "overflow":
            tokens, limit = error.message.split()
            error = ErrorAnswer(
                400,
                "Please reduce the length of the messages or completion. "
                f"Current length is {tokens} while limit is {limit}",
                code="context_length_exceeded",
            )
        usual = USUAL.get(error.status, ("server_error", "", "server_error"))
        param = {"context_length_exceeded": "messages", "queue_exceeded": "queue"}
        body = {
            "message": error.message,
            "type": error.type or usual[0],
            "param": param.get(error.code or "", usual[1]),
            "code": error.code or usual[2],
        }
        headers = {**self.answer_headers(seen), **dict(error.headers)}
        return web.json_response(body, status=error.status, headers=headers)


def _words(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n\n".join(part.get("text", "") for part in parts if isinstance(part, dict))


def _typed(message: dict[str, Any], *, after_tool: bool) -> list[str]:
    """What a person typed: what follows a tool result comes from the CLI, unless it has a marker."""
    words = REMINDER.sub("", _words(message)).strip()
    if not words or (after_tool and not MARKER.search(words)) or LABEL.match(words):
        return []
    return [words]


def _usage(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    if answer.usage == "zero":
        return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    prompt = max(1, len(json.dumps(body)) // 4)
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": 25,
        "total_tokens": prompt + 25,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    if any(block["type"] == "thinking" for block in answer.content):
        usage["completion_tokens_details"] = {"reasoning_tokens": 9}
    return usage


def _time_info() -> dict[str, float]:
    return {
        "queue_time": 0.00009602,
        "prompt_time": 0.026647695,
        "completion_time": 0.014833488,
        "total_time": 0.04320025444030762,
        "created": time.time(),
    }


def _calls(answer: Answer) -> list[dict[str, Any]]:
    tools = [block for block in answer.content if block["type"] == "tool_use"]
    return [
        {
            "function": {
                "name": block["name"],
                "arguments": block.get("_raw_json") or json.dumps(block["input"]),
            },
            "type": "function",
            "id": block["id"] if block["id"].startswith("call_") else uuid.uuid4().hex[:9],
            "index": index,
        }
        for index, block in enumerate(tools)
    ]


def _head(kind: str, answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4()}",
        "choices": [],
        "created": int(time.time()),
        "model": answer.model or body.get("model"),
        "system_fingerprint": "fp_386b539e7b02ce3613b7",
        "object": kind,
    }


def completion(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    """The whole answer as one object; keys without a value are left out, as the service does."""
    message: dict[str, Any] = {"role": "assistant"}
    for field, kind in (("content", "text"), ("reasoning", "thinking")):
        words = "".join(block[kind] for block in answer.content if block["type"] == kind)
        if words:
            message[field] = words
    calls = _calls(answer)
    if calls:
        message["tool_calls"] = calls
    whole = _head("chat.completion", answer, body)
    stop = answer.stop
    finish = FINISH.get(stop, "stop") if stop is not None else None
    whole["choices"] = [{"finish_reason": finish, "index": 0, "message": message}]
    if answer.usage != "none":
        whole["usage"] = _usage(answer, body)
    whole["time_info"] = _time_info()
    return whole


def chunks(answer: Answer, body: dict[str, Any], *, apart: bool) -> list[dict[str, Any]]:
    """The chunks of a streamed answer; `apart` puts usage into a chunk of its own."""
    head = _head("chat.completion.chunk", answer, body)

    def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {**head, "choices": [{"delta": delta, **more, "index": 0}]}

    fields = {"text": "content", "thinking": "reasoning"}
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    for block in answer.content:
        if block["type"] not in fields:
            continue
        words = block[block["type"]]
        deltas += [
            {fields[block["type"]]: words[start : start + answer.chunk]}
            for start in range(0, len(words), answer.chunk)
        ]
    calls = _calls(answer)
    deltas.append({"tool_calls": calls} if calls else {})
    sent = [chunk(delta) for delta in deltas]
    if "field" in answer.unknown:
        sent[0]["x_unknown_top"] = {"a": 1}
        sent[0]["choices"][0]["delta"]["x_unknown_delta"] = True
    if answer.stop is None or "message_delta" in answer.omit:
        return sent
    last = chunk({}, finish_reason=FINISH.get(answer.stop, "stop"))
    counts: dict[str, Any] = {"time_info": _time_info()}
    if answer.usage != "none":
        counts["usage"] = _usage(answer, body)
    if not apart:
        return [*sent, {**last, **counts}]
    return [*sent, last, {**head, **counts}]


def _sse(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


if __name__ == "__main__":
    run(
        lambda port, log: ChatCompletionsFake(port=port, log=log), "a scripted Chat Completions API"
    )
