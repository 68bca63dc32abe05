"""What tells a backend which user or session a request belongs to (translation spec, 1.1).

Only hashes go up: the client's `user_id` holds account and device ids.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from llmproxyd.dialects.openai_chat.scope import text_of
from llmproxyd.spi import Call

_SESSION_HEADER = "x-claude-code-session-id"
_USER_HEX = 32


def identity_fields(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The provider's user field and `prompt_cache_key`, where its flags ask for them."""
    quirks = call.target.quirks
    metadata = body.get("metadata")
    user_id = text_of(metadata.get("user_id")) if isinstance(metadata, dict) else ""
    fields: dict[str, Any] = {}
    if quirks.user_field and user_id:
        fields[quirks.user_field] = _hash(user_id)[:_USER_HEX]
    session = call.request.header(_SESSION_HEADER) or _session(user_id)
    if quirks.prompt_cache_key and session:
        fields["prompt_cache_key"] = _hash(session)
    return fields


def _session(user_id: str) -> str:
    """The session in a `user_id`, which Claude Code writes as a JSON object."""
    try:
        described = msgspec.json.decode(user_id)
    except (ValueError, RecursionError):
        return ""
    return text_of(described.get("session_id")) if isinstance(described, dict) else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
