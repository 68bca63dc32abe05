"""Secrets out of any text that leaves the daemon: errors, logs, status."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "[redacted]"
MIN_SECRET_CHARS = 4

# Token shapes of the providers named in the translation spec, section 4, and bearer headers.
_TOKENS = re.compile(
    r"([Bb]earer|BEARER)\s+[^\s\"',;]{6,}|\b(?:sk|csk|rpa|hf)[-_][A-Za-z0-9_\-]{8,}"
)

# What every match of it contains: looking for these costs a fifth of the search.
_MARKS = ("earer", "EARER", "sk-", "sk_", "rpa-", "rpa_", "hf-", "hf_")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace every known secret, and whatever looks like one, by `[redacted]`.

    `secrets` are exact configured values; ones below `MIN_SECRET_CHARS` are left alone, since
    masking them would only destroy the text.
    """
    for secret in sorted(secrets, key=len, reverse=True):  # one may begin with another
        if len(secret) >= MIN_SECRET_CHARS:
            text = text.replace(secret, MASK)
    if not any(mark in text for mark in _MARKS):
        return text
    return _TOKENS.sub(lambda match: f"{match[1]} {MASK}" if match[1] else MASK, text)
