"""How far the token estimate is off, learned per backend and model.

An exponentially weighted mean of real prompt tokens / raw estimate (translation spec, section 5),
so a heuristic that is right to a quarter comes within a few per cent after some answers.
"""

from __future__ import annotations

from collections.abc import Mapping

Key = tuple[str, str]  # backend name, upstream model

ALPHA = 0.2  # weight of the newest answer
LOWEST, HIGHEST = 0.5, 2.0
MIN_TOKENS = 500  # below it the fixed part of a chat template decides, not the text
MAX_KEYS = 1000  # some servers take any model name, so clients could make up keys


class Calibration:
    """The learned factors. Lives as long as the process; used from one thread."""

    def __init__(self) -> None:
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
        self._scales[key] = before + ALPHA * (ratio - before)
        if len(self._scales) > MAX_KEYS:
            del self._scales[next(iter(self._scales))]

    def export(self) -> dict[str, dict[str, float]]:
        """All factors as plain data: backend to model to factor."""
        plain: dict[str, dict[str, float]] = {}
        for (backend, model), scale in self._scales.items():
            plain.setdefault(backend, {})[model] = scale
        return plain

    def restore(self, plain: Mapping[str, Mapping[str, float]]) -> None:
        """Take over exported factors; ones out of range are clamped, learned ones stay."""
        for backend, models in plain.items():
            for model, scale in models.items():
                self._scales.setdefault((backend, model), min(HIGHEST, max(LOWEST, scale)))
