"""What went wrong upstream, as the error that makes the client do the right thing.

Three sources: an answer that is not 2xx, an error inside a 200 answer, an answer that breaks off.
Most of it is `wire/upstream_errors`; here is what needs the request: context overflow with the
numbers that were asked for, and refusals that a changed request would not meet (translation
spec, sections 1.12, 4.1 and 4.3).
"""

from __future__ import annotations

import re

import msgspec

from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.errors import BrokeProtocol, Rejected
from llmproxyd.spi import Call, ResponseHead
from llmproxyd.wire.messages import Headers
from llmproxyd.wire.overflow import (
    OVERFLOW_STATUSES,
    Overflow,
    budget_that_fits,
    find_overflow,
    overflow_message,
)
from llmproxyd.wire.redact import redact
from llmproxyd.wire.upstream_errors import (
    MAX_MESSAGE_CHARS,
    ErrorBody,
    read_error,
    read_error_value,
    rejected,
)

_decode = msgspec.json.Decoder().decode

_PATH = r"['\"`]?(?:body\.)?([A-Za-z_][\w.\[\]]*)['\"`]?"
_REFUSED_CODES = frozenset({"wrong_api_format", "unsupported_parameter", "unknown_parameter"})
_LEARNED_STATUSES = frozenset({400, 422})
_REFUSED_PATHS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"property {_PATH} is (?:unsupported|not supported|not allowed)",
        rf"(?:unsupported|unknown|unrecognized) (?:parameter|property|field): ?{_PATH}",
        rf"^{_PATH}: extra (?:inputs|fields) (?:are )?not permitted",
    )
)
# Where a 200 answer is an error although it has no `error`.
_ERROR_FIELDS = ("detail", "errors", "message")
# RunPod answers so when no worker took the request in time.
_QUEUED = frozenset({"IN_QUEUE", "IN_PROGRESS"})
_SUM = "current length is"  # what Cerebras says of prompt and completion, or of the prompt


class Mendable(Rejected):
    """A refusal that a changed request would not meet.

    Attributes:
        refused: path of the request property that the backend does not take, or None.
        max_tokens: the output budget that fits, or None.
    """

    def __init__(
        self, error: Rejected, *, refused: str | None = None, max_tokens: int | None = None
    ) -> None:
        super().__init__(
            error.message,
            status=error.status,
            kind=error.kind,
            retry_after_s=error.retry_after_s,
            should_retry=error.should_retry,
            can_fail_over=error.can_fail_over,
        )
        self.refused = refused
        self.max_tokens = max_tokens


class ErrorTranslator:
    """Words the errors of one exchange."""

    def __init__(self, call: Call, encoded: Encoded) -> None:
        self._call = call
        self._encoded = encoded

    def answer(self, head: ResponseHead, body: bytes) -> Rejected:
        """What a non-2xx answer means."""
        return self._translated(read_error(body, head.content_type), head.status, head.headers)

    def event(self, payload: bytes) -> Rejected:
        """What an error inside a 200 answer means: a whole body, or the payload of one event."""
        return self._translated(read_error(payload), None)

    def ended(self, reason: str, details: object) -> Rejected:
        """A `finish_reason` that stands for a failure; `details` is the choice's own `error`."""
        if details:
            return self._translated(read_error_value({"error": details}), None)
        message = f'upstream ended its answer with finish_reason "{reason}"'
        return self._translated(ErrorBody(message=message, type=reason), None)

    def page(self, status: int) -> Rejected:
        """A web page where an answer should be."""
        return self._translated(ErrorBody(is_html=True), status)

    def disguised(self, payload: bytes) -> Rejected | None:
        """What an object without choices means that may be an error; None when it is none."""
        try:
            value = _decode(payload)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict) or value.get("usage"):
            return None
        status = value.get("status")
        if isinstance(status, str) and status in _QUEUED:
            queued = ErrorBody(
                message=f"no worker has taken the request ({status})", type="queue_exceeded"
            )
            return self._translated(queued, None)
        if value.get("object") != "error" and not any(value.get(name) for name in _ERROR_FIELDS):
            return None
        return self._translated(read_error_value(value), None)

    def broken(self, message: str) -> BrokeProtocol:
        """The answer is not the format it should be, or ends in the middle."""
        return BrokeProtocol(f"[{self._call.target.entry.name}] {self._clean(message)}")

    def _translated(self, error: ErrorBody, status: int | None, headers: Headers = ()) -> Rejected:
        known_status = status if status is not None else error.status
        if known_status in OVERFLOW_STATUSES:
            overflow = find_overflow(error.message, error.fields)
            if overflow is not None:
                return self._overflowed(self._completed(overflow, error.message))
        rejection = rejected(
            error,
            status,
            headers=headers,
            backend=self._call.target.entry.name,
            model=self._call.request.model,
            secrets=self._call.secrets,
        )
        if self._call.target.quirks.learn and rejection.status in _LEARNED_STATUSES:
            refused = refused_property(error)
            if refused is not None:
                return Mendable(rejection, refused=refused)
        return rejection

    def _overflowed(self, overflow: Overflow) -> Rejected:
        message = overflow_message(overflow, estimate=self._encoded.prompt_tokens)
        rejection = Rejected(message, status=400, kind="invalid_request_error", can_fail_over=False)
        budget = budget_that_fits(overflow)
        return rejection if budget is None else Mendable(rejection, max_tokens=budget)

    def _completed(self, overflow: Overflow, message: str) -> Overflow:
        """The numbers the backend did not tell, as far as we know them."""
        estimate, asked = self._encoded.prompt_tokens, self._encoded.max_tokens
        window = self._call.target.limits.context_window
        known = overflow.completed(estimate=estimate, window=window)
        prompt, output = known.prompt_tokens, known.output_tokens or asked
        # Cerebras may count the completion in; our estimate tells which it was.
        if prompt is not None and prompt > asked and _SUM in message.lower():
            prompt = min(prompt, prompt - asked, key=lambda tokens: abs(estimate - tokens))
        return Overflow(prompt, known.window, output or None)

    def _clean(self, message: str) -> str:
        return redact(message, self._call.secrets)[:MAX_MESSAGE_CHARS]


def refused_property(error: ErrorBody) -> str | None:
    """The path of the request property that a backend says it does not support, or None."""
    if error.code not in _REFUSED_CODES and error.type not in _REFUSED_CODES:
        return None
    message = error.message.replace(" -> ", ".")
    for pattern in _REFUSED_PATHS:
        if match := pattern.search(message):
            return match[1].rstrip(".")
    param = error.fields.get("param")
    is_path = isinstance(param, str) and error.code != "wrong_api_format"
    return param if is_path else None
