"""Anthropic's error envelope, as a body and as a stream event."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from llmproxyd.errors import ProxyError, UpstreamError
from llmproxyd.wire.frames import Frame, make_frame

# The header that tells the backend's own id of a request.
UPSTREAM_REQUEST_ID: Final = "x-llmproxyd-upstream-request-id"


def error_body(kind: str, message: str, request_id: str) -> bytes:
    """`{"type":"error","error":{"type","message"},"request_id"}` as JSON."""
    return msgspec.json.encode(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    )


def error_frame(kind: str, message: str, request_id: str) -> Frame:
    """The `error` event that ends a stream which can not be completed."""
    return make_frame("error", error_body(kind, message, request_id))


def error_headers(error: ProxyError) -> list[tuple[str, str]]:
    """Retry hints of `error`: `retry-after` as a whole number of seconds >= 1, `x-should-retry`;
    and the backend's id of the request.

    The CLI reads integers only and gives up at once above 60 (client behaviour, 2.1.197).
    """
    headers: list[tuple[str, str]] = []
    if error.retry_after_s is not None:
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after_s)))))
    if error.should_retry is not None:
        headers.append(("x-should-retry", "true" if error.should_retry else "false"))
    if isinstance(error, UpstreamError) and error.upstream_request_id is not None:
        headers.append((UPSTREAM_REQUEST_ID, error.upstream_request_id))
    return headers
