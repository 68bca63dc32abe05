"""What a backend's errors become: its own words where clients know them, Anthropic's elsewhere.

Clients heal many refusals by reading their wording (client behaviour, section 7), so an error
that is already Anthropic's goes on byte for byte. Everything else gets the envelope, the status
mapping of the translation spec, section 4.1, and the overflow wording of section 4.3.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from llmproxyd.dialects.anthropic.estimate import estimate_or_zero
from llmproxyd.dialects.anthropic.headers import response_headers, sends_client_key
from llmproxyd.errors import BrokeProtocol, Rejected, Verbatim
from llmproxyd.spi import Call, ResponseHead
from llmproxyd.wire.overflow import OVERFLOW_STATUSES, find_overflow, overflow_message
from llmproxyd.wire.redact import MASK, MIN_SECRET_CHARS
from llmproxyd.wire.upstream_errors import ErrorBody, read_error, read_error_value, rejected

_UNAUTHENTICATED = 401
_REDIRECTS = range(300, 400)

# The two sentences about a full context window that clients act on.
_HEALED = re.compile(
    r"prompt is too long: \d+ tokens > \d+ maximum|exceed context limit: \d+ \+ \d+ > \d+"
)


class _Error(msgspec.Struct):
    type: Literal[
        "api_error",
        "authentication_error",
        "billing_error",
        "conflict_error",
        "invalid_request_error",
        "not_found_error",
        "overloaded_error",
        "permission_error",
        "rate_limit_error",
        "request_too_large",
        "timeout_error",
    ]
    message: str


class _Envelope(msgspec.Struct, tag="error"):
    error: _Error


_is_envelope = msgspec.json.Decoder(_Envelope).decode
_is_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode


def read_rejection(call: Call, head: ResponseHead, body: bytes) -> Rejected:
    """What a non-2xx answer means."""
    return _rejection(call, head, read_error(body, head.content_type), head.status, body)


def read_error_event(call: Call, head: ResponseHead, data: bytes) -> Rejected:
    """What an error inside a 2xx answer means: a whole body, or the payload of an event.

    Its status is found from its type, so that it can still become an HTTP answer.
    """
    try:
        error = read_error_value(_decode(data))
    except (ValueError, RecursionError):
        error = read_error(data)
    return _rejection(call, head, error, None, data)


def broke(call: Call, why: str) -> BrokeProtocol:
    """The backend's bytes are no answer; `why` is a sentence about "the backend"."""
    return BrokeProtocol(f"[{call.target.entry.name}] {why}")


def _rejection(
    call: Call, head: ResponseHead, error: ErrorBody, status: int | None, body: bytes
) -> Rejected:
    found = rejected(
        error,
        status,
        headers=head.headers,
        backend=call.target.entry.name,
        model=call.target.model,
        secrets=call.secrets,
    )
    overflow = find_overflow(error.message, error.fields) if status in OVERFLOW_STATUSES else None
    if status not in _REDIRECTS and _speaks_anthropic(call, body):
        is_healed = overflow is None or _HEALED.search(error.message)
        if is_healed or not call.target.quirks.repair:
            found.verbatim = _verbatim(call, head, status or found.status, body)
            return found
    if overflow is None:
        return found
    estimate = estimate_or_zero(call)
    completed = overflow.completed(estimate=estimate, window=call.target.limits.context_window)
    return Rejected(
        overflow_message(completed, estimate=estimate),
        status=400,
        kind="invalid_request_error",
        can_fail_over=False,
    )


def _speaks_anthropic(call: Call, body: bytes) -> bool:
    """The body may go to the client as it is.

    A genuine backend's JSON always may; an imitation's only if it is Anthropic's envelope.
    """
    check: Any = _is_envelope if call.target.quirks.repair else _is_object
    try:
        check(body)
    except (ValueError, RecursionError):
        return False
    return True


def _verbatim(call: Call, head: ResponseHead, status: int, body: bytes) -> Verbatim:
    headers = response_headers(head)
    if status == _UNAUTHENTICATED and not sends_client_key(call.target.entry):
        # The client can not mend our key, and would retry for three minutes.
        headers = [pair for pair in headers if pair[0] != "x-should-retry"]
        headers.append(("x-should-retry", "false"))
    headers.append(("content-type", "application/json"))
    for secret in call.secrets:
        if len(secret) >= MIN_SECRET_CHARS:
            body = body.replace(secret.encode(), MASK.encode())
    return Verbatim(status, tuple(headers), body)
