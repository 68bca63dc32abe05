"""The request upstream: the client's own bytes but for what must change."""

from __future__ import annotations

import msgspec

from llmproxyd.dialects.anthropic.headers import request_headers
from llmproxyd.dialects.anthropic.history import without_foreign_thinking
from llmproxyd.spi import Call, UpstreamRequest, versioned_url
from llmproxyd.wire.splice import splice


def build_request(call: Call, path: str) -> UpstreamRequest:
    """The request for `call`.

    Args:
        call: one attempt.
        path: below the API version: `messages` or `messages/count_tokens`.
    """
    url = versioned_url(call.target.entry.url, path)
    body, notes = _body(call)
    return UpstreamRequest(
        url=f"{url}?{call.request.query}" if call.request.query else url,
        headers=request_headers(call),
        body=body,
        notes=notes,
    )


def _body(call: Call) -> tuple[bytes, tuple[str, ...]]:
    """The body, and notes on what was changed."""
    raw, target = call.request.raw, call.target
    changes: dict[str, bytes | None] = dict.fromkeys(target.quirks.strip_fields)
    if target.model != call.request.model:
        changes["model"] = msgspec.json.encode(target.model)
    body = splice(raw, changes) if changes else raw
    notes = [
        f"dropped:{field}" for field in target.quirks.strip_fields if f'"{field}"'.encode() in raw
    ]
    if not target.quirks.repair:
        cleaned = without_foreign_thinking(body)
        if cleaned is not body:
            notes.append("dropped:foreign_thinking")
        body = cleaned
    return body, tuple(notes)
