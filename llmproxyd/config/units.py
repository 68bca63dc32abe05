"""The written forms of durations and sizes. A form that is not understood gives None."""

from __future__ import annotations

import re

DURATION_FORMS = 'write a number of seconds or e.g. "500ms", "30s", "15m", "8h", "1d"'
SIZE_FORMS = 'write a number of bytes or e.g. "64KiB", "32MiB", "32MB", "1GiB"'

# Longer than any limit that makes sense here, and short enough for every timer.
LONGEST_S = 366 * 86400.0

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
# The digits are bounded, so that a hostile number costs nothing.
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)")


def duration_s(written: object) -> float | None:
    """Seconds of a number, "30s" or "1.5h"; a bare "0" counts as seconds.

    None for anything else, for negative durations and for those above `LONGEST_S`.
    """
    seconds = _quantity(written, _SECONDS, bare="s")
    return seconds if seconds is not None and 0 <= seconds <= LONGEST_S else None


def size_bytes(written: object) -> int | None:
    """Bytes of a whole number, "32MiB" (binary) or "32MB" (decimal), in any case.

    None for anything else, and for negative sizes.
    """
    if isinstance(written, float):
        return None
    size = _quantity(written, _BYTES, bare="b")
    return int(size) if size is not None and size >= 0 else None


def _quantity(written: object, units: dict[str, float] | dict[str, int], bare: str) -> float | None:
    if isinstance(written, int | float) and not isinstance(written, bool):
        # Compared first: an integer beyond float's range can be compared, but not converted.
        return float(written) if abs(written) < 10**15 else None
    match = _QUANTITY.fullmatch(written.strip()) if isinstance(written, str) else None
    factor = units.get((match[2] or bare).lower()) if match else None
    return float(match[1]) * factor if match and factor is not None else None
