"""What a backend's error means: its many body shapes, and one table to Anthropic's own errors.

`read_error` turns any body into an `ErrorBody`; `classify` gives the status and type that make
the client do the right thing (translation spec, section 4.1); `rejected` puts both together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from llmproxyd.errors import Rejected
from llmproxyd.wire.messages import Headers
from llmproxyd.wire.redact import redact
from llmproxyd.wire.retry_after import retry_after_s

MAX_MESSAGE_CHARS = 2000
_CLIENT_FAULTS = range(400, 500)

_decode = msgspec.json.Decoder().decode


class ErrorBody(msgspec.Struct, frozen=True):
    """An error as a backend worded it; empty strings stand for what it did not say.

    Attributes:
        message: for people; may be empty.
        type, code: its own names, e.g. `rate_limit_error`; a numeric code as its digits.
        status: an HTTP status (400 to 599) that the body itself names.
        fields: the error object, for numbers such as `n_ctx`.
        is_html: the body was a web page; `message` is empty then.
    """

    message: str = ""
    type: str = ""
    code: str = ""
    status: int | None = None
    fields: Mapping[str, Any] = {}
    is_html: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """How an error goes to the client.

    Attributes:
        should_retry: the `x-should-retry` header; None leaves it out.
        prefix: words put in front of the message.
    """

    status: int
    kind: str
    should_retry: bool | None = None
    prefix: str = ""

    @property
    def can_fail_over(self) -> bool:
        """Another backend could do better: the fault is not the request's."""
        return self.status == _RATE_LIMITED.status or self.status >= _FAILED.status


_INVALID = Verdict(400, "invalid_request_error")
_UNAUTHENTICATED = Verdict(401, "authentication_error", should_retry=False)
_BILLING = Verdict(402, "billing_error")
_FORBIDDEN = Verdict(403, "permission_error")
_NOT_FOUND = Verdict(404, "not_found_error")
_CONFLICT = Verdict(409, "conflict_error")
_TOO_LARGE = Verdict(413, "request_too_large")
_RATE_LIMITED = Verdict(429, "rate_limit_error")
_FAILED = Verdict(500, "api_error")
_DETERMINISTIC = Verdict(500, "api_error", should_retry=False)
_MISCONFIGURED = Verdict(500, "api_error", should_retry=False, prefix="backend misconfigured: ")
_BAD_GATEWAY = Verdict(502, "api_error")
_TIMED_OUT = Verdict(504, "timeout_error")
_OVERLOADED = Verdict(529, "overloaded_error")

_BY_STATUS = {
    401: _UNAUTHENTICATED,
    402: _BILLING,
    403: _FORBIDDEN,
    404: _NOT_FOUND,
    405: _MISCONFIGURED,
    408: _TIMED_OUT,
    409: _CONFLICT,
    413: _TOO_LARGE,
    415: _MISCONFIGURED,
    429: _RATE_LIMITED,
    500: _FAILED,
    501: _FAILED,
    503: _OVERLOADED,
    504: _TIMED_OUT,
    524: _TIMED_OUT,
    529: _OVERLOADED,
}

# Names in `type` or `code`, compared without case, `_` and `-`; the first that occurs decides.
_BY_NAME = (
    ("ratelimit", _RATE_LIMITED),
    ("toomanyrequests", _RATE_LIMITED),
    ("insufficientsystemresource", _OVERLOADED),
    ("insufficient", _BILLING),
    ("paymentrequired", _BILLING),
    ("billing", _BILLING),
    ("quotaexceeded", _RATE_LIMITED),
    ("authentication", _UNAUTHENTICATED),
    ("wrongapikey", _UNAUTHENTICATED),
    ("permission", _FORBIDDEN),
    ("notfound", _NOT_FOUND),
    ("toolarge", _TOO_LARGE),
    ("conflict", _CONFLICT),
    ("overloaded", _OVERLOADED),
    ("unavailable", _OVERLOADED),
    ("serverbusy", _OVERLOADED),
    ("queueexceeded", _OVERLOADED),
    ("timeout", _TIMED_OUT),
    ("invalidrequest", _INVALID),
    ("badrequest", _INVALID),
)

_UNPAID = frozenset({"insufficient_quota", "insufficient_balance", "payment_required"})
_BUSY = re.compile(
    r"queue_exceeded|overloaded|no available server|no workers|in_queue", re.IGNORECASE
)
_NO_MODEL = re.compile(
    r"\bmodel\b.{0,200}\bnot found\b|model_not_found|invalid model name", re.IGNORECASE
)
_TEMPLATE = re.compile(
    r"jinja|minja|chat template|invalid tool call arguments|parse tool call", re.IGNORECASE
)


def read_error(body: bytes, content_type: str = "") -> ErrorBody:
    """Read the body of an error answer; never raises."""
    text = body.decode("utf-8", "replace").strip()
    if content_type == "text/html" or text.startswith("<"):
        return ErrorBody(is_html=True)
    try:
        value = _decode(body)
    except (ValueError, RecursionError):
        return ErrorBody(message=text)
    return read_error_value(value)


def read_error_value(value: Any) -> ErrorBody:
    """Read an error that is decoded already: a whole body, or an error event's payload."""
    try:
        return _read_value(value)
    except RecursionError:
        return ErrorBody(message="the error is nested too deeply to be read")


def classify(status: int | None, error: ErrorBody) -> Verdict:
    """The status and type of `error` toward the client.

    Args:
        status: the HTTP status; None for an error inside a 200 answer, whose body decides.
        error: its body.
    """
    words = f"{error.type} {error.code} {error.message}"
    if status is None:
        if error.status is None:
            return _by_words(_by_name(error), words, error)
        status = error.status
    other = _INVALID if status in _CLIENT_FAULTS else _BAD_GATEWAY
    return _by_words(_BY_STATUS.get(status, other), words, error)


def rejected(
    error: ErrorBody,
    status: int | None,
    *,
    headers: Headers = (),
    backend: str,
    model: str,
    secrets: Iterable[str] = (),
) -> Rejected:
    """The error that the client gets, in Anthropic's terms and with the backend's name.

    Args:
        error: what the backend said.
        status: its HTTP status; None for an error inside a 200 answer.
        headers: of the answer, names in lower case, for the retry hints.
        backend: the entry's name, put in front of the message.
        model: the upstream model, named when it was not found.
        secrets: values that must not appear in the message.
    """
    verdict = classify(status, error)
    text = error.message or f"upstream returned status {status or verdict.status} without a reason"
    if error.is_html:
        text = f"upstream returned HTML (status {status or verdict.status})"
    message = f"[{backend}] {verdict.prefix}{redact(text, secrets)}"
    if verdict is _NOT_FOUND:
        message = f"model: {model}: {message}"
    return Rejected(
        message[:MAX_MESSAGE_CHARS],
        status=verdict.status,
        kind=verdict.kind,
        should_retry=verdict.should_retry,
        can_fail_over=verdict.can_fail_over,
        retry_after_s=_wait_s(verdict, headers, error),
    )


def _wait_s(verdict: Verdict, headers: Headers, error: ErrorBody) -> float | None:
    """The retry hint; only a rate limit is worth guessing one from buckets and words."""
    if verdict in (_RATE_LIMITED, _OVERLOADED):
        return retry_after_s(headers, error.message)
    explicit = tuple(
        pair for pair in headers if pair[0] in ("retry-after", "retry-after-ms", "date")
    )
    return retry_after_s(explicit)


def _by_words(verdict: Verdict, words: str, error: ErrorBody) -> Verdict:
    """The exceptions of section 4.1 that depend on what the body says."""
    names = {error.type.lower(), error.code.lower()}
    match verdict.status:
        case 403 | 429 if names & _UNPAID:
            return _BILLING
        case 403 if _moderation_reasons(error):
            return _INVALID
        case 400 if _NO_MODEL.search(words):
            return _NOT_FOUND
        case 429 | 500 | 502 if _BUSY.search(words):
            return _OVERLOADED
        case 500 if verdict is _FAILED and _TEMPLATE.search(words):
            return _DETERMINISTIC
        case _:
            return verdict


def _by_name(error: ErrorBody) -> Verdict:
    for name in (error.type, error.code):
        plain = re.sub(r"[_\-\s]", "", name.lower())
        for part, verdict in _BY_NAME:
            if part in plain:
                return verdict
    return _FAILED


def _moderation_reasons(error: ErrorBody) -> bool:
    metadata = error.fields.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("reasons"))


def _read_value(value: Any) -> ErrorBody:
    if isinstance(value, list) and value:
        return _read_value(value[0])
    if not isinstance(value, dict):
        return ErrorBody(message=_text(value))
    inner = value.get("error")
    if isinstance(inner, dict):
        return _read_object(inner, value)
    if inner:
        return msgspec.structs.replace(_read_object(value, value), message=_text(inner))
    return _read_object(value, value)


def _read_object(found: dict[str, Any], body: dict[str, Any]) -> ErrorBody:
    code = found.get("code")
    return ErrorBody(
        message=_message(found),
        type=_text(found.get("type")),
        code=_text(code),
        status=_status(body.get("status_code")) or _status(code),
        fields=found,
    )


def _message(found: dict[str, Any]) -> str:
    """The sentence in an error object, under any of its known names."""
    message = next(
        (found[key] for key in ("message", "detail", "errors", "msg") if found.get(key)), ""
    )
    metadata = found.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
        # OpenRouter says "Provider returned error" and puts the provider's own words here.
        return f"{_text(message)}: {metadata['raw']}"
    return _text(message)


def _text(value: Any) -> str:
    """Any JSON value as words: FastAPI sends lists of `{loc, msg}`."""
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case list():
            return "; ".join(filter(None, map(_text, value)))
        case dict():
            loc = value.get("loc")
            place = ".".join(map(str, loc)) if isinstance(loc, list) else ""
            words = _text(value.get("msg") or value.get("message"))
            return ": ".join(filter(None, (place, words))) or msgspec.json.encode(value).decode()
        case _:
            return str(value)


def _status(value: Any) -> int | None:
    """An HTTP error status given as a number or as its digits."""
    text = str(value)
    return int(text) if re.fullmatch(r"[45]\d\d", text) else None
