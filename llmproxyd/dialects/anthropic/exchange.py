"""One attempt in the Messages format, and the two ways in which it can be mended."""

from __future__ import annotations

import re

import msgspec

from llmproxyd.dialects.anthropic.answer import AnswerDecoder
from llmproxyd.dialects.anthropic.errors import read_rejection
from llmproxyd.dialects.anthropic.headers import response_headers
from llmproxyd.dialects.anthropic.history import without_thinking
from llmproxyd.errors import Rejected, UpstreamError
from llmproxyd.spi import Call, ResponseHead, UpstreamRequest
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.overflow import budget_that_fits, find_overflow
from llmproxyd.wire.splice import splice

_INVALID = 400
_SIGNATURE = re.compile(r"signature.*thinking|thinking.*signature", re.IGNORECASE | re.DOTALL)


class AnthropicExchange:
    """One attempt. See `spi.Exchange`."""

    def __init__(self, call: Call, request: UpstreamRequest) -> None:
        """Begin.

        Args:
            call: what is asked, and of whom.
            request: built for `call`, or mended after a refusal.
        """
        self._call = call
        self.request = request

    @property
    def local(self) -> list[Frame]:
        """Nothing is answered here: the backend knows best."""
        return []

    @property
    def prompt_estimate(self) -> int:
        """Not made: the backend counts."""
        return 0

    @property
    def learned(self) -> str | None:
        """Nothing: what is mended here belongs to one conversation."""
        return None

    def decoder(self, head: ResponseHead) -> AnswerDecoder:
        """A decoder for a 2xx answer."""
        return AnswerDecoder(self._call, head)

    def error(self, head: ResponseHead, body: bytes) -> UpstreamError:
        """What a non-2xx answer means."""
        return read_rejection(self._call, head, body)

    def response_headers(self, head: ResponseHead) -> list[tuple[str, str]]:
        """Headers of the answer that the client gets."""
        return response_headers(head)

    def repaired(self, error: UpstreamError) -> AnthropicExchange | None:
        """The request without thinking, or with a smaller budget, if that was refused."""
        if not isinstance(error, Rejected) or error.status != _INVALID:
            return None
        body = self._mended(self.request.body, error.message)
        if body == self.request.body:
            return None
        return AnthropicExchange(self._call, msgspec.structs.replace(self.request, body=body))

    def _mended(self, body: bytes, reason: str) -> bytes:
        if _SIGNATURE.search(reason):
            return without_thinking(body)
        if self._call.target.quirks.repair:
            overflow = find_overflow(reason, {})
            budget = budget_that_fits(overflow) if overflow else None
            if budget is not None:
                return splice(body, {"max_tokens": b"%d" % budget})
        return body
