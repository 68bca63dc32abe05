"""The recognisable signature of thinking blocks that the proxy made itself."""

from __future__ import annotations

import base64
import hashlib

PREFIX = "llmproxyd."
_DIGEST_BYTES = 12


class Signer:
    """Signs thinking that arrives in pieces, without keeping it."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, thinking: str) -> None:
        """Add a piece."""
        self._hash.update(thinking.encode("utf-8", "surrogatepass"))

    def signature(self) -> str:
        """The signature of all pieces: the prefix and 16 characters of their SHA-256."""
        digest = self._hash.digest()[:_DIGEST_BYTES]
        return PREFIX + base64.urlsafe_b64encode(digest).decode()


def sign(thinking: str) -> str:
    """A stable signature of `thinking`, as `Signer` makes it."""
    signer = Signer()
    signer.update(thinking)
    return signer.signature()


def is_ours(signature: str) -> bool:
    """True for what `sign` made: worthless to a genuine Anthropic backend."""
    return signature.startswith(PREFIX)
