"""Every error the proxy itself raises, and how each one reaches the client.

    ProxyError                     status, Anthropic error type, message
    ├── DownstreamError            the client's request, or our refusal of it
    │   ├── BadRequest             400 invalid_request_error
    │   │   └── NeedsServerTool    the same: it is about a tool that only its provider can run
    │   ├── TooLarge               413 request_too_large
    │   └── Draining               529 overloaded_error
    ├── UpstreamError              the backend failed; another target may be tried before commit
    │   ├── Unreachable            502 api_error: refused, reset, DNS, TLS
    │   ├── TimedOut               504 timeout_error: one of our own limits expired
    │   ├── BrokeProtocol          502 api_error: not JSON, not SSE, cut off, no ending
    │   └── Rejected               any status: the backend said no in its own words
    └── ConfigError                the configuration does not hold; never reaches a client

A class exists because somebody catches it or because it fixes a status. Bugs stay builtins.
The mapping from foreign exceptions to these is one table in `upstream/client.py`; the mapping
from upstream bodies to these is each dialect's `errors.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict, Unpack


class Details(TypedDict, total=False):
    """What an error may override; see the attributes of `ProxyError`."""

    status: int
    kind: str
    retry_after_s: float | None
    should_retry: bool | None
    can_fail_over: bool


class ProxyError(Exception):
    """A failure that the client is told about in Anthropic's error envelope.

    Attributes:
        status: HTTP status toward the client while headers are not out yet.
        kind: Anthropic error type, e.g. `"overloaded_error"`.
        message: one clear sentence, secrets already redacted.
        retry_after_s: sent as the `retry-after` header (whole seconds, rounded up).
        should_retry: `x-should-retry` header; None leaves it out. The CLI retries a 401 for
            three minutes unless it is told not to (client behaviour, CLI 2.1.330).
        can_fail_over: another target may be tried if nothing has reached the client.
    """

    status = 500
    kind = "api_error"
    can_fail_over = False

    def __init__(self, message: str, **details: Unpack[Details]) -> None:
        super().__init__(message)
        self.message = message
        self.status = details.get("status", self.status)
        self.kind = details.get("kind", self.kind)
        self.retry_after_s = details.get("retry_after_s")
        self.should_retry = details.get("should_retry")
        self.can_fail_over = details.get("can_fail_over", self.can_fail_over)


class DownstreamError(ProxyError):
    """The request can not be served as it was sent, whatever the backend."""

    status = 400
    kind = "invalid_request_error"


class BadRequest(DownstreamError):
    """The request is malformed, or asks for what this backend can not do."""


class NeedsServerTool(BadRequest):
    """Without the provider's own tool the answer would be invented; another backend has it."""


class TooLarge(DownstreamError):
    """The body is above the configured limit."""

    status = 413
    kind = "request_too_large"


class Draining(DownstreamError):
    """The daemon is shutting down; the client's own retry finds its successor."""

    status = 529
    kind = "overloaded_error"


class UpstreamError(ProxyError):
    """The backend failed.

    Attributes:
        upstream_request_id: the backend's own id of the request, once it has told one.
    """

    status = 502
    can_fail_over = True
    upstream_request_id: str | None = None


class Unreachable(UpstreamError):
    """No connection, or it broke before an answer: refused, reset, DNS, TLS."""


class TimedOut(UpstreamError):
    """A connect, first-byte or idle limit of ours expired."""

    status = 504
    kind = "timeout_error"


class BrokeProtocol(UpstreamError):
    """The backend's bytes are not the format it promised, or end in the middle."""


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A backend's own error answer, to be handed to the client byte for byte.

    `headers` holds only what may be forwarded (retry hints, request ids, content type).
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Rejected(UpstreamError):
    """The backend answered with an error.

    Attributes:
        verbatim: set by pass-through dialects, whose client understands the original.
    """

    def __init__(
        self, message: str, *, verbatim: Verbatim | None = None, **details: Unpack[Details]
    ) -> None:
        super().__init__(message, **details)
        self.verbatim = verbatim


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration: where, what, and how to mend it.

    Attributes:
        path: dotted key path, e.g. `backends.cerebras.url`; empty for the whole file.
        message: what is wrong, one sentence without a final full stop.
        hint: how to fix it; may be empty.
        file: name of the file or source (`LLM_BACKEND`, `--port`); empty when unknown.
        line, column: 1-based position in `file`; 0 when there is none.
    """

    path: str
    message: str
    hint: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Render as `file:line:column: key: message (hint)`."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        text = ": ".join(part for part in (place, self.path, self.message) if part)
        return f"{text} ({self.hint})" if self.hint else text


@dataclass
class ConfigError(Exception):
    """The configuration does not hold. Carries every problem found, never only the first."""

    problems: list[Problem] = field(default_factory=list)

    def __str__(self) -> str:
        """One problem a line."""
        return "\n".join(str(problem) for problem in self.problems)
