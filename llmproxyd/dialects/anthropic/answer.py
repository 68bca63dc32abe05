"""Which decoder a 2xx answer needs, told by its first byte.

Content types lie (a gateway's web page marked as JSON, JSON for a stream, streams without any
type); bytes do not: an object opens with `{`, a page with `<`, and no stream with either.
"""

from __future__ import annotations

from llmproxyd.dialects.anthropic.errors import broke
from llmproxyd.dialects.anthropic.passthrough import ExactStream
from llmproxyd.dialects.anthropic.repair import RepairedStream
from llmproxyd.dialects.anthropic.whole import WholeAnswer
from llmproxyd.errors import UpstreamError
from llmproxyd.spi import Call, ResponseHead
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.usage import Usage

_SPACE = b" \t\r\n"


class AnswerDecoder:
    """Decoder of any answer; white space before its first byte is kept. See `spi`."""

    notes: tuple[str, ...] = ()

    def __init__(self, call: Call, head: ResponseHead) -> None:
        self._call = call
        self._head = head
        self._space = b""
        self._inner: ExactStream | RepairedStream | WholeAnswer | None = None
        self._failure: UpstreamError | None = None

    @property
    def is_done(self) -> bool:
        """The answer is complete."""
        return self._inner is not None and self._inner.is_done

    @property
    def failure(self) -> UpstreamError | None:
        """Why the answer can not be completed."""
        return self._inner.failure if self._inner else self._failure

    @property
    def usage(self) -> Usage | None:
        """Token counts known so far."""
        return self._inner.usage if self._inner else None

    @property
    def waits_for_usage(self) -> bool:
        """Never: Messages tell their usage before their end."""
        return False

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes."""
        if self._inner is not None:
            return self._inner.feed(data)
        if self._failure is not None:
            return []
        data = self._space + data
        start = data.lstrip(_SPACE)[:1]
        if not start:
            self._space = data
            return []
        if start == b"<" or self._head.content_type == "text/html":
            status = self._head.status
            self._failure = broke(self._call, f"upstream returned HTML (status {status})")
            return []
        self._inner = self._choose(start)
        return self._inner.feed(data)

    def end(self) -> list[Frame]:
        """The upstream closed the body: the remaining frames."""
        if self._inner is not None:
            return self._inner.end()
        self._failure = self._failure or broke(self._call, "the backend's answer is empty")
        return []

    def settle(self) -> list[Frame]:
        """Nothing is ever waited for."""
        return []

    def _choose(self, start: bytes) -> ExactStream | RepairedStream | WholeAnswer:
        if start == b"{":
            return WholeAnswer(self._call, self._head)
        kind = RepairedStream if self._call.target.quirks.repair else ExactStream
        return kind(self._call, self._head)
