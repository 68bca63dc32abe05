"""Answers that need no backend: the client's model probe, and the prewarming of a cache.

Source: translation spec, correction 6 and section 1.1 (`max_tokens: 0`).
"""

from __future__ import annotations

from typing import Literal

from llmproxyd.dialects.openai_chat.encoded import Encoded
from llmproxyd.errors import BrokeProtocol, UpstreamError
from llmproxyd.spi import Call, ResponseDecoder, ResponseHead, UpstreamRequest
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.stream import MessageStream
from llmproxyd.wire.usage import Usage

_MESSAGE_ID_RANDOM = 24
_PROBE_ANSWER = "Hello"


class LocalExchange:
    """`spi.Exchange` that is answered here.

    Attributes:
        request: None, nothing is sent.
        local: the frames of the answer.
    """

    request: UpstreamRequest | None = None
    learned: str | None = None
    prompt_estimate = 0  # nothing to compare it with

    def __init__(self, call: Call, encoded: Encoded, kind: Literal["probe", "prewarm"]) -> None:
        self.local = _frames(call, encoded, kind)

    def decoder(self, head: ResponseHead) -> ResponseDecoder:
        """Nothing was sent, so there is nothing to decode."""
        raise BrokeProtocol("an answer came to a request that was not sent")

    def error(self, head: ResponseHead, body: bytes) -> UpstreamError:
        """Nothing was sent, so nothing can be refused."""
        return BrokeProtocol("an answer came to a request that was not sent")

    def repaired(self, error: UpstreamError) -> None:
        """There is nothing to mend."""
        return

    def response_headers(self, head: ResponseHead) -> list[tuple[str, str]]:
        """None."""
        return []


def _frames(call: Call, encoded: Encoded, kind: Literal["probe", "prewarm"]) -> list[Frame]:
    stream = MessageStream()
    message_id = f"msg_{call.entropy(_MESSAGE_ID_RANDOM)}"
    prompt = encoded.prompt_tokens
    frames = [stream.start(message_id, call.request.model, Usage(input_tokens=prompt))]
    if kind == "prewarm":
        return frames + stream.finish("max_tokens", Usage(input_tokens=prompt))
    frames += (stream.start_text(), stream.text(_PROBE_ANSWER), stream.stop_block())
    return frames + stream.finish("end_turn", Usage(input_tokens=prompt, output_tokens=1))
