"""How long a backend asks to be left alone (translation spec, section 4.2)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from llmproxyd.wire.messages import Headers

_LIMIT = "x-ratelimit-"
_UNIT_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PIECE = r"\d+(?:\.\d+)?(?:ms|[dhms])"
_DURATION = re.compile(rf"(?:{_PIECE})+")
_PIECES = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_TRY_AGAIN = re.compile(rf"try again in ((?:{_PIECE})+|\d+(?:\.\d+)?(?= *seconds?))", re.IGNORECASE)


def retry_after_s(headers: Headers, message: str = "") -> float | None:
    """Seconds to wait before the next request, or None when the answer does not say.

    The most explicit source wins: `retry-after-ms`; `retry-after`, as seconds or as a date
    relative to the answer's own `date`; the longest reset among the exhausted rate-limit
    buckets; the per-minute token bucket; "try again in …" in the error message.

    Args:
        headers: of the answer, names in lower case.
        message: the error message.
    """
    found = dict(headers)
    milliseconds = _number(found.get("retry-after-ms", ""))
    sources = (
        None if milliseconds is None else milliseconds / 1000,
        _retry_after(found),
        _exhausted_buckets(found),
        _duration(found.get(f"{_LIMIT}reset-tokens-minute", "")),
        _in_words(message),
    )
    return next((wait_s for wait_s in sources if wait_s is not None), None)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    until, now = _date(value), _date(headers.get("date", ""))
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _exhausted_buckets(headers: Mapping[str, str]) -> float | None:
    """The longest reset among the buckets that have nothing left."""
    prefix = f"{_LIMIT}remaining-"
    waits_s: list[float] = []
    for name, value in headers.items():
        remaining = _signed(value) if name.startswith(prefix) else None
        if remaining is None or remaining > 0:
            continue
        wait_s = _duration(headers.get(f"{_LIMIT}reset-{name.removeprefix(prefix)}", ""))
        if wait_s is not None:
            waits_s.append(wait_s)
    return max(waits_s, default=None)


def _in_words(message: str) -> float | None:
    match = _TRY_AGAIN.search(message)
    return _duration(match[1].lower()) if match else None


def _duration(text: str) -> float | None:
    """Seconds of `12.5`, `12.5s`, `120ms`, `6m0s` or `1h2m3s`."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNIT_S[unit] for number, unit in _PIECES.findall(text))
    return _number(text)


def _number(text: str) -> float | None:
    """A finite number of seconds, at least 0."""
    number = _signed(text)
    return None if number is None else max(0.0, number)


def _signed(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
