"""A streamed answer: server-sent events to frames."""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.answer import Answer
from llmproxyd.dialects.openai_chat.chunks import decode_chunk
from llmproxyd.dialects.openai_chat.errors import ErrorTranslator
from llmproxyd.errors import BrokeProtocol, UpstreamError
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.sse import SSEDecoder, SSEEvent
from llmproxyd.wire.usage import Usage

_DONE = b"[DONE]"


class StreamDecoder:
    """`spi.ResponseDecoder` of a `text/event-stream` answer."""

    def __init__(self, answer: Answer, errors: ErrorTranslator) -> None:
        self._answer = answer
        self._errors = errors
        self._events = SSEDecoder()

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
        """Token counts so far; final once `is_done`."""
        return self._answer.usage

    @property
    def waits_for_usage(self) -> bool:
        """`finish_reason` has come, `[DONE]` has not."""
        return self._answer.has_ending

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd, as short stable words for the log."""
        return self._answer.notes

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes."""
        answer = self._answer
        if answer.is_over:
            return []
        try:
            for event in self._events.feed(data):
                self._take(event)
        except BrokeProtocol as error:
            answer.fail(self._errors.broken(error.message))
        return answer.take_frames()

    def end(self) -> list[Frame]:
        """The upstream closed the body."""
        answer = self._answer
        if not answer.is_over:
            try:
                self._take_last(self._events.end())
            except BrokeProtocol as error:
                answer.fail(self._errors.broken(error.message))
            answer.cut()
        return answer.take_frames()

    def settle(self) -> list[Frame]:
        """End cleanly without the usage that did not come."""
        if self._answer.has_ending:
            self._answer.end()
        return self._answer.take_frames()

    def _take(self, event: SSEEvent) -> None:
        if not event.has_data:
            return
        payload = event.data
        if event.error or event.event == "error":
            self._answer.refuse(event.error or payload)
        elif payload.startswith(b"{"):
            self._answer.take(payload)
        elif payload.strip() == _DONE:
            self._answer.end()
        elif payload.strip():
            self._answer.take(payload)

    def _take_last(self, event: SSEEvent | None) -> None:
        """An event without its blank line counts only if it is whole for certain."""
        if event is None:
            return
        if not event.error and event.data.strip() != _DONE:
            try:
                decode_chunk(event.data)
            except ValueError:
                return
        self._take(event)
