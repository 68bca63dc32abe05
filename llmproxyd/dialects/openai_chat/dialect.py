"""The OpenAI Chat Completions dialect, as the rest of the proxy sees it."""

from __future__ import annotations

import math

from llmproxyd.dialects.openai_chat.exchange import ChatExchange
from llmproxyd.dialects.openai_chat.local import LocalExchange
from llmproxyd.dialects.openai_chat.media import remote_images
from llmproxyd.dialects.openai_chat.request import check_body, encode_body, local_answer_kind
from llmproxyd.spi import Call, Exchange, UpstreamRequest
from llmproxyd.wire.messages import decode_body
from llmproxyd.wire.tokens import estimate_prompt_tokens

# What every request with a linked image holds; most requests do not.
_URL_KEY = b'"url"'


class OpenAIChat:
    """`spi.Dialect`: Messages requests as Chat Completions requests, and back."""

    name = "openai"

    def exchange(self, call: Call) -> Exchange:
        """Translate the request of `call`.

        Raises:
            BadRequest: it is malformed, does not fit the backend's window, or asks for what
                this backend can not do.
        """
        body = decode_body(call.request.raw)
        encoded = encode_body(call, body)
        kind = local_answer_kind(call, body)
        return ChatExchange(call, encoded) if kind is None else LocalExchange(call, encoded, kind)

    def remote_images(self, call: Call) -> list[str]:
        """The linked images, for a backend that takes inline ones only."""
        if call.target.quirks.image_url != "fetch" or call.request.raw.rfind(_URL_KEY) < 0:
            return []
        return remote_images(decode_body(call.request.raw))

    def count_request(self, call: Call) -> UpstreamRequest | None:
        """None: no Chat Completions server counts a whole request the same way as another."""
        return None

    def estimate_tokens(self, call: Call) -> int:
        """Tokens of the request, tools included, scaled by what was learned.

        Raises:
            BadRequest: the body is malformed.
        """
        body = decode_body(call.request.raw)
        check_body(call, body)
        quirks = call.target.quirks
        tokens = estimate_prompt_tokens(body, has_vision=quirks.vision, reads_pdf=quirks.pdf)
        return math.ceil(tokens * (call.token_scale or 1.0))
