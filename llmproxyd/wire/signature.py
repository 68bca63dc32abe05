"""The recognisable signature of thinking blocks that the proxy made itself."""

from __future__ import annotations

import base64
import hashlib

PREFIX = "llmproxyd."


def sign(thinking: str) -> str:
    """A stable signature of `thinking`: the prefix and 16 characters of its SHA-256."""
    digest = hashlib.sha256(thinking.encode("utf-8", "surrogatepass")).digest()
    return PREFIX + base64.urlsafe_b64encode(digest[:12]).decode()


def is_ours(signature: str) -> bool:
    """True for what `sign` made: worthless to a genuine Anthropic backend."""
    return signature.startswith(PREFIX)
