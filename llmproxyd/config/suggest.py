"""Did-you-mean."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MOST_SHOWN = 20


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known one, or all of them when none is near."""
    by_folded = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_folded, n=1)
    if near:
        return f'did you mean "{by_folded[near[0]]}"?'
    names = list(by_folded.values())
    more = ", …" if len(names) > _MOST_SHOWN else ""
    return f"known: {', '.join(names[:_MOST_SHOWN])}{more}" if names else ""
