"""The dialect as the proxy sees it."""

from __future__ import annotations

from llmproxyd.dialects.anthropic.estimate import estimate_prompt
from llmproxyd.dialects.anthropic.exchange import AnthropicExchange
from llmproxyd.dialects.anthropic.request import build_request
from llmproxyd.spi import Call, UpstreamRequest


class Anthropic:
    """Anthropic Messages, upstream as downstream. See `spi.Dialect`."""

    name = "anthropic"

    def exchange(self, call: Call) -> AnthropicExchange:
        """Begin one attempt."""
        return AnthropicExchange(call, build_request(call, "messages"))

    def remote_images(self, call: Call) -> list[str]:
        """None: the backend fetches what it is linked to."""
        return []

    def count_request(self, call: Call) -> UpstreamRequest:
        """Where to ask for an exact count: the same request on its own route."""
        return build_request(call, "messages/count_tokens")

    def estimate_tokens(self, call: Call) -> int:
        """Tokens of the request, estimated.

        Raises:
            BadRequest: the body is not valid JSON.
        """
        return estimate_prompt(call)
