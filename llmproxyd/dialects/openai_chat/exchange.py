"""One Chat Completions attempt: its request, and everything about its answer."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from llmproxyd import __version__
from llmproxyd.dialects.openai_chat.answer import Answer
from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.dialects.openai_chat.errors import ErrorTranslator, Mendable
from llmproxyd.dialects.openai_chat.request import encode
from llmproxyd.dialects.openai_chat.response import (
    AnswerDecoder,
    FailedDecoder,
    JSONDecoder,
    SniffingDecoder,
)
from llmproxyd.dialects.openai_chat.stream import StreamDecoder
from llmproxyd.errors import UpstreamError
from llmproxyd.spi import (
    BackendEntry,
    Call,
    ResponseHead,
    UpstreamRequest,
    header_text,
    versioned_url,
)
from llmproxyd.wire.error_body import UPSTREAM_REQUEST_ID
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.messages import Headers

_PATH = "chat/completions"
_USER_AGENT = f"llmproxyd/{__version__}"
# LiteLLM sends it with an answer from its cache, and only then.
_CACHE_HIT = "x-litellm-cache-key"

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class ChatExchange:
    """`spi.Exchange` in the Chat Completions format.

    Attributes:
        request: what to send.
        local: always empty; see `LocalExchange`.
        learned: path of the request property that this mended exchange leaves out, or None.
    """

    def __init__(self, call: Call, encoded: Encoded, *, mends: Mendable | None = None) -> None:
        """`mends`: the refusal after which the request was changed."""
        self._call = call
        self._encoded = encoded
        self._errors = ErrorTranslator(call, encoded)
        self._is_mended = mends is not None
        self.local: list[Frame] = []
        self.learned = None if mends is None else mends.refused
        self.request: UpstreamRequest | None = UpstreamRequest(
            url=versioned_url(call.target.entry.url, _PATH),
            headers=request_headers(call.target.entry),
            body=encoded.body,
            notes=encoded.notes,
        )

    @property
    def prompt_estimate(self) -> int:
        """Raw estimate of the prompt in tokens."""
        return self._encoded.raw_prompt_tokens

    def decoder(self, head: ResponseHead) -> AnswerDecoder:
        """A decoder for a 2xx answer, chosen by content type; by the first byte if that lies."""
        match head.content_type:
            case "text/html":
                return self._page(head)
            case "application/json":
                return self._json(head)
            case _:
                decoders = {b"{": self._json, b"<": self._page, b"": self._stream}
                return SniffingDecoder(
                    {first: partial(make, head) for first, make in decoders.items()}
                )

    def error(self, head: ResponseHead, body: bytes) -> UpstreamError:
        """What a non-2xx answer means."""
        return self._errors.answer(head, body)

    def repaired(self, error: UpstreamError) -> ChatExchange | None:
        """The request with a smaller output budget, or without what the backend refuses."""
        if self._is_mended or not isinstance(error, Mendable):
            return None
        mended = (
            self._without(error.refused)
            if error.max_tokens is None
            else self._with_budget(error.max_tokens)
        )
        is_changed = mended.body != self._encoded.body
        return ChatExchange(self._call, mended, mends=error) if is_changed else None

    def response_headers(self, head: ResponseHead) -> list[tuple[str, str]]:
        """The upstream's model and its id of this request."""
        told = [("x-llmproxyd-upstream-model", header_text(self._call.target.model))]
        if head.request_id is not None:
            told.append((UPSTREAM_REQUEST_ID, head.request_id))
        return told

    def _with_budget(self, max_tokens: int) -> Encoded:
        members: dict[str, Any] = _members(self._encoded.body)
        members[self._call.target.quirks.max_tokens_field] = max_tokens
        return msgspec.structs.replace(self._encoded, body=_encode(members), max_tokens=max_tokens)

    def _without(self, path: str | None) -> Encoded:
        dropped = (*self._call.dropped, *filter(None, (path,)))
        return encode(msgspec.structs.replace(self._call, dropped=dropped))

    def _stream(self, head: ResponseHead) -> AnswerDecoder:
        return StreamDecoder(self._answer(head, is_whole=False), self._errors)

    def _json(self, head: ResponseHead) -> AnswerDecoder:
        return JSONDecoder(self._answer(head, is_whole=True), self._errors)

    def _page(self, head: ResponseHead) -> AnswerDecoder:
        return FailedDecoder(self._errors.page(head.status))

    def _answer(self, head: ResponseHead, *, is_whole: bool) -> Answer:
        answer = Answer(self._call, self._encoded, self._errors, is_whole=is_whole)
        if head.header(_CACHE_HIT) is not None:
            answer.note("upstream_cache_hit")
        return answer


def request_headers(entry: BackendEntry) -> Headers:
    """The headers to send to `entry`; the client's own never go to a translated backend."""
    key = entry.secret.value if entry.secret else entry.backend.placeholder_key
    credentials = (("authorization", f"Bearer {key}"),) if key else ()
    return (
        *credentials,
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        ("accept-encoding", "identity"),
        ("user-agent", _USER_AGENT),
    )
