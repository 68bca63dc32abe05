"""What happened to one request, as data: filled along the path, logged and counted once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmproxyd.wire.usage import Usage


@dataclass(slots=True)
class Record:
    """One request from admission to its end; times are seconds of a monotonic clock.

    Attributes:
        result: `ok`, `error` or `cancelled`.
        status: HTTP status that the client saw, or would have seen after the commit.
        notes: what translation dropped or repaired, short words, never content.
    """

    request_id: str
    started_s: float
    model: str
    is_stream: bool
    path: str = "/v1/messages"
    session: str | None = None
    backend: str = ""
    upstream_model: str = ""
    upstream_request_id: str | None = None
    attempts: int = 0
    result: str = "ok"
    status: int = 200
    error: str | None = None
    first_frame_s: float | None = None
    usage: Usage | None = None
    notes: tuple[str, ...] = field(default=())

    def fields(self, now_s: float) -> dict[str, Any]:
        """The fields of the `request_finished` log line; what is unknown is left out."""
        fields: dict[str, Any] = {
            "request_id": self.request_id,
            "path": self.path,
            "backend": self.backend,
            "model": self.model,
            "upstream_model": self.upstream_model,
            "result": self.result,
            "status": self.status,
            "stream": self.is_stream,
            "attempts": self.attempts,
            "latency_ms": round((now_s - self.started_s) * 1000, 1),
        }
        if self.first_frame_s is not None:
            fields["ttft_ms"] = round((self.first_frame_s - self.started_s) * 1000, 1)
        if self.usage is not None:
            usage = self.usage
            fields["input_tokens"] = usage.input_tokens
            fields["output_tokens"] = usage.output_tokens
            fields["cache_read_tokens"] = usage.cache_read_input_tokens
            if usage.is_estimated:
                fields["estimated"] = True
        optional = {
            "session": self.session,
            "upstream_request_id": self.upstream_request_id,
            "error": self.error,
            "notes": list(self.notes),
        }
        return fields | {key: value for key, value in optional.items() if value}
