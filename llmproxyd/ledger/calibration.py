"""How far the token estimate is off, learned per backend and model.

An exponentially weighted mean of real prompt tokens / raw estimate (translation spec, section 5),
so a heuristic that is right to a quarter comes within a few per cent after some answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

Key = tuple[str, str]  # backend name, upstream model

ALPHA = 0.2  # weight of the newest answer
LOWEST, HIGHEST = 0.5, 2.0
MIN_TOKENS = 500  # below it the fixed part of a chat template decides, not the text
MAX_KEYS = 1000  # some servers take any model name, so clients could make up keys


# Told of every factor that has changed, by name and as text, and with None of those given up.
Journal = Callable[[str, str | None], None]

_SEPARATOR = "\0"  # between backend and model in a name


def _forget(name: str, factor: str | None) -> None:
    """The journal of factors that do not outlive their process."""


class Calibration:
    """The learned factors. Used from one thread."""

    def __init__(self, journal: Journal = _forget) -> None:
        self._journal = journal
        self._scales: dict[Key, float] = {}

    def scale(self, key: Key) -> float | None:
        """Real tokens a raw estimated token; None when nothing was learned yet."""
        return self._scales.get(key)

    def observe(self, key: Key, real: int, raw_estimate: int) -> None:
        """Learn from one answer.

        Args:
            real: prompt tokens as the backend counted them, cached ones included; counts that
                were themselves estimated must not come here.
            raw_estimate: what was estimated for the same prompt, before scaling.
        """
        if real < MIN_TOKENS or raw_estimate <= 0:
            return
        ratio = min(HIGHEST, max(LOWEST, real / raw_estimate))
        before = self._scales.pop(key, ratio)
        scale = self._scales[key] = before + ALPHA * (ratio - before)
        self._journal(_SEPARATOR.join(key), repr(scale))
        self._make_room()

    def restore(self, factors: Iterable[tuple[str, str]]) -> None:
        """Take over what a journal has recorded; factors out of range are clamped."""
        for name, factor in factors:
            backend, _, model = name.partition(_SEPARATOR)
            with suppress(ValueError):  # not a number: as good as never learned
                self._scales[backend, model] = min(HIGHEST, max(LOWEST, float(factor)))
                self._make_room()

    def _make_room(self) -> None:
        """Give up the factor that was learned longest ago."""
        if len(self._scales) > MAX_KEYS:
            oldest = next(iter(self._scales))
            del self._scales[oldest]
            self._journal(_SEPARATOR.join(oldest), None)
