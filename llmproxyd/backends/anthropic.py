"""Anthropic's own API, the default: the client's credential and bytes go through unchanged.

No environment variable is read for a key: the client has its own, API key or OAuth token, and
only a key that the configuration names may take its place.
"""

from __future__ import annotations

from llmproxyd.dialects.anthropic.dialect import Anthropic
from llmproxyd.spi import Backend

BACKEND = Backend(
    kind="anthropic",
    base_url="https://api.anthropic.com",
    dialects=(Anthropic(),),
    takes_client_key=True,
    is_default=True,
)
