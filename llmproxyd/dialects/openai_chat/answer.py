"""One answer on its way: chunks in, frames out, until it ends or fails.

Whatever carries the chunks (server-sent events, one JSON body) ends in this class, so a streamed
and a plain answer can not differ. Rules (translation spec, sections 3.2, 3.4 and 3.6):

1. `message_start` goes out with the first chunk that is no error; so an answer that begins with
   an error has no frames, and the pipeline is still free to try elsewhere.
2. A failure is a value. No block is closed and nothing held back is written after it: a closed
   tool block is executed.
3. After `finish_reason` nothing can fail any more: the answer ends cleanly with what is there.
"""

from __future__ import annotations

from llmproxyd.dialects.openai_chat.assembler import Assembler
from llmproxyd.dialects.openai_chat.chunks import Choice, decode_chunk
from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.errors import ErrorTranslator
from llmproxyd.dialects.openai_chat.finish import failure_kind
from llmproxyd.dialects.openai_chat.usage import read_usage
from llmproxyd.errors import BrokeProtocol, UpstreamError
from llmproxyd.spi import Call
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.usage import Usage

_MESSAGE_ID_RANDOM = 24
# A backend that says it read much less than we sent has cut the prompt without a word.
_TRUNCATED_PER_CENT = 60
_TRUNCATED_MIN_TOKENS = 1024


class Answer:
    """State of one answer.

    Attributes:
        is_done: the end of the message is written.
        failure: why it never will be.
        notes: what was odd, as short stable words for the log.
    """

    def __init__(
        self, call: Call, encoded: Encoded, errors: ErrorTranslator, *, is_whole: bool
    ) -> None:
        """`is_whole`: the answer comes as one completion instead of chunks."""
        self._call = call
        self._encoded = encoded
        self._errors = errors
        self._is_whole = is_whole
        self._assembler = Assembler(call, encoded, is_whole=is_whole)
        self._reported: object = None
        self._usage: Usage | None = None
        self._is_started = False
        self.is_done = False
        self.failure: UpstreamError | None = None

    @property
    def is_over(self) -> bool:
        """Nothing more will be decoded."""
        return self.is_done or self.failure is not None

    @property
    def has_ending(self) -> bool:
        """`finish_reason` has come: only usage is still of interest."""
        return bool(self._assembler.reason) and not self.is_over

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd."""
        return tuple(dict.fromkeys(self._assembler.notes))

    @property
    def usage(self) -> Usage | None:
        """Token counts so far; None before the answer has begun."""
        if self._usage is not None or not self._is_started:
            return self._usage
        return self._read_usage(self._assembler.counter.rough_tokens)

    def note(self, word: str) -> None:
        """Add to `notes`."""
        self._assembler.notes.append(word)

    def take_frames(self) -> list[Frame]:
        """The frames since the last time."""
        return self._assembler.writer.take_frames()

    def take(self, payload: bytes) -> None:
        """Take one chunk, or the whole completion; ignored once the answer is over."""
        if self.is_done or self.failure is not None:
            return
        try:
            self._take(payload)
        except ValueError:
            self.fail(self._errors.broken("upstream sent something that is not a JSON object"))
        except RecursionError:
            self.fail(self._errors.broken("upstream sent JSON that is nested too deeply"))
        except BrokeProtocol as error:
            self.fail(self._errors.broken(error.message))

    def refuse(self, payload: bytes) -> None:
        """Take an event that is an error by its name."""
        self.fail(self._errors.event(payload))

    def fail(self, error: UpstreamError) -> None:
        """The answer can not go on; after its ending that is of no interest."""
        if self.is_over:
            return
        if self._assembler.reason:
            self.note("error_after_finish")
            self.end()
        else:
            self.failure = error

    def cut(self) -> None:
        """The upstream closed the connection; ignored once the answer is over."""
        if self._assembler.reason:
            self.end()
        else:
            self.fail(self._errors.broken("upstream closed the stream before finishing"))

    def end(self) -> None:
        """The upstream says that this was all, or has given its `finish_reason`."""
        if self.is_over:
            return
        usage = self._read_usage(self._assembler.counter.tokens)
        try:
            self._assembler.end(usage)
        except BrokeProtocol as error:
            self.failure = self._errors.broken(error.message)
            return
        self._usage = usage
        self.is_done = True
        self._note_truncation(usage)

    def _start(self) -> None:
        self._is_started = True
        self._assembler.writer.start(
            f"msg_{self._call.entropy(_MESSAGE_ID_RANDOM)}",
            self._call.request.model,
            Usage(input_tokens=self._encoded.prompt_tokens, output_tokens=1),
        )

    def _take(self, payload: bytes) -> None:
        chunk = decode_chunk(payload)
        choice = chunk.first_choice()
        if chunk.error:
            self.fail(self._errors.event(payload))
            return
        if choice is None or choice.finish_reason or choice.error:
            refusal = self._refusal(choice, payload, has_choices=chunk.choices is not None)
            if refusal is not None:
                self.fail(refusal)
                return
        if not self._is_started:
            self._start()
        if choice is not None:
            self._assembler.take(choice)
            if choice.usage:
                self._reported = choice.usage
        if chunk.usage:
            self._reported = chunk.usage
        if self._assembler.writer.matched_stop is not None:
            self.end()

    def _refusal(
        self, choice: Choice | None, payload: bytes, *, has_choices: bool
    ) -> UpstreamError | None:
        """The failure that a chunk without `error` stands for, if it does."""
        if choice is not None:
            reason = choice.finish_reason
            is_failure = isinstance(reason, str) and failure_kind(reason) is not None
            return self._errors.ended(reason, choice.error) if is_failure or choice.error else None
        if not has_choices and (error := self._errors.disguised(payload)) is not None:
            return error
        return self._errors.broken("upstream returned no choices") if self._is_whole else None

    def _read_usage(self, output_estimate: int) -> Usage:
        return read_usage(
            self._reported,
            prompt_estimate=self._encoded.prompt_tokens,
            output_estimate=output_estimate,
        )

    def _note_truncation(self, usage: Usage) -> None:
        estimate = self._encoded.prompt_tokens
        if usage.is_estimated or estimate < _TRUNCATED_MIN_TOKENS:
            return
        read = usage.input_tokens + usage.cache_read_input_tokens
        if self._call.target.quirks.preflight and read * 100 < estimate * _TRUNCATED_PER_CENT:
            self.note("context_probably_truncated")
