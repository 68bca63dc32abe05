"""Errors in OpenAI's envelope (translation spec, section 7). The status stays as it is."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from llmproxyd.errors import ProxyError, Rejected
from llmproxyd.wire.upstream_errors import read_error

# Anthropic's error types to OpenAI's type and code.
_KINDS: Final[dict[str, tuple[str, str | None]]] = {
    "invalid_request_error": ("invalid_request_error", None),
    "authentication_error": ("authentication_error", "invalid_api_key"),
    "billing_error": ("insufficient_quota", "insufficient_quota"),
    "permission_error": ("permission_error", "permission_denied"),
    "not_found_error": ("not_found_error", "not_found"),
    "conflict_error": ("conflict_error", "conflict"),
    "request_too_large": ("invalid_request_error", "request_too_large"),
    "rate_limit_error": ("rate_limit_error", "rate_limit_exceeded"),
    "timeout_error": ("timeout_error", "timeout"),
    "overloaded_error": ("server_error", "overloaded"),
    "api_error": ("server_error", None),
    "policy_blocked": ("invalid_request_error", "policy_blocked"),
}
# Sentences that say more than their type does.
_CODES: Final = (
    (
        "invalid_request_error",
        re.compile(r"prompt is too long: |exceed context limit: "),
        "context_length_exceeded",
    ),
    ("not_found_error", re.compile(r"(?:\A|\] )model: "), "model_not_found"),
)
_UNSAID: Final = "the backend refused the request without saying why"


def error_body(error: ProxyError) -> bytes:
    """The JSON body of an HTTP answer; a backend's own words are kept."""
    kind, message = error.kind, error.message
    if isinstance(error, Rejected) and error.verbatim is not None:
        kind, message = _read(error.verbatim.body, kind, message)
    return msgspec.json.encode({"error": {**_described(kind, message), "param": None}})


def from_anthropic(body: bytes) -> bytes:
    """The same for an error that is a body already: Anthropic's envelope, or what stands for it."""
    kind, message = _read(body, "api_error", "")
    return msgspec.json.encode({"error": {**_described(kind, message), "param": None}})


def error_data(event: bytes) -> bytes:
    """The payload of a stream's last line, from that of an `error` event."""
    return msgspec.json.encode({"error": _described(*_read(event, "api_error", ""))})


def _read(body: bytes, kind: str, message: str) -> tuple[str, str]:
    """Type and message of a body; what it does not say is as given."""
    found = read_error(body)
    return found.type or kind, found.message or message


def _described(kind: str, message: str) -> dict[str, Any]:
    name, code = _KINDS.get(kind, (kind, None))
    for of_kind, wording, special in _CODES:
        if kind == of_kind and wording.search(message):
            code = special
    return {"message": message or _UNSAID, "type": name, "code": code}
