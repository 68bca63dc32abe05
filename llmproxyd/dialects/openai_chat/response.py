"""Answers that are no event stream: one JSON body, a web page, or nobody says what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from llmproxyd.dialects.openai_chat.answer import Answer
from llmproxyd.dialects.openai_chat.errors import ErrorTranslator
from llmproxyd.errors import UpstreamError
from llmproxyd.spi import ResponseDecoder
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.sse import MAX_EVENT_BYTES
from llmproxyd.wire.usage import Usage

_BOM = b"\xef\xbb\xbf"


class AnswerDecoder(ResponseDecoder, Protocol):
    """A decoder that also tells what was odd about its answer."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd, as short stable words for the log; final once `is_done`."""
        ...


class JSONDecoder:
    """`spi.ResponseDecoder` of an `application/json` answer, which is read to its end first."""

    waits_for_usage = False

    def __init__(self, answer: Answer, errors: ErrorTranslator) -> None:
        self._answer = answer
        self._errors = errors
        self._body = bytearray()

    @property
    def is_done(self) -> bool:
        """The answer is complete."""
        return self._answer.is_done

    @property
    def failure(self) -> UpstreamError | None:
        """Why the answer can not be completed."""
        return self._answer.failure

    @property
    def usage(self) -> Usage | None:
        """Token counts, once the answer is there."""
        return self._answer.usage

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd, as short stable words for the log."""
        return self._answer.notes

    def feed(self, data: bytes) -> list[Frame]:
        """Keep these bytes."""
        if not self._answer.is_over:
            self._body += data
            if len(self._body) > MAX_EVENT_BYTES:
                self._body.clear()
                limit = f"{MAX_EVENT_BYTES >> 20} MiB"
                self._answer.fail(self._errors.broken(f"upstream sent a body above {limit}"))
        return []

    def end(self) -> list[Frame]:
        """The upstream closed the body: all frames at once, or none."""
        answer = self._answer
        if answer.is_over:
            return []
        body = bytes(self._body).removeprefix(_BOM).strip()
        self._body.clear()
        if not body:
            answer.fail(self._errors.broken("upstream returned an empty body"))
        elif body.startswith(b"["):
            answer.refuse(body)  # Google wraps its errors so
        else:
            answer.take(body)
            answer.end()
        frames = answer.take_frames()
        return frames if answer.failure is None else []

    def settle(self) -> list[Frame]:
        """Nothing is ever waited for."""
        return []


class FailedDecoder:
    """`spi.ResponseDecoder` of an answer that can not be one."""

    is_done = False
    usage: Usage | None = None
    waits_for_usage = False
    notes: tuple[str, ...] = ()

    def __init__(self, failure: UpstreamError) -> None:
        self.failure: UpstreamError | None = failure

    def feed(self, data: bytes) -> list[Frame]:
        """Nothing."""
        return []

    def end(self) -> list[Frame]:
        """Nothing."""
        return []

    def settle(self) -> list[Frame]:
        """Nothing."""
        return []


class SniffingDecoder:
    """Chooses a decoder by the first byte that is not blank.

    An object begins with `{`, a web page with `<`, and neither begins an event stream. Some
    servers label a JSON body as a stream, or send no content type at all.
    """

    def __init__(self, decoders: dict[bytes, Callable[[], AnswerDecoder]]) -> None:
        """`decoders` by first byte; `b""` for any other."""
        self._decoders = decoders
        self._head = b""
        self._inner: AnswerDecoder | None = None

    @property
    def is_done(self) -> bool:
        """The answer is complete."""
        return self._inner is not None and self._inner.is_done

    @property
    def failure(self) -> UpstreamError | None:
        """Why the answer can not be completed."""
        return None if self._inner is None else self._inner.failure

    @property
    def usage(self) -> Usage | None:
        """Token counts so far."""
        return None if self._inner is None else self._inner.usage

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd, as short stable words for the log."""
        return () if self._inner is None else self._inner.notes

    @property
    def waits_for_usage(self) -> bool:
        """Only usage is missing."""
        return self._inner is not None and self._inner.waits_for_usage

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes."""
        if self._inner is not None:
            return self._inner.feed(data)
        head = (self._head + data).removeprefix(_BOM).lstrip()
        if _BOM.startswith(head):
            self._head = head
            return []
        return self._choose(head[:1]).feed(head)

    def end(self) -> list[Frame]:
        """The upstream closed the body."""
        if self._inner is None:
            inner = self._choose(b"")
            return inner.feed(self._head) + inner.end()
        return self._inner.end()

    def settle(self) -> list[Frame]:
        """End cleanly without the usage that did not come."""
        return [] if self._inner is None else self._inner.settle()

    def _choose(self, first: bytes) -> AnswerDecoder:
        self._inner = self._decoders.get(first, self._decoders[b""])()
        return self._inner
