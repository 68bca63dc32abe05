"""Stop sequences that the upstream was not given: matched here, on visible text only.

The result does not depend on how the text was cut into pieces: the sequence that is complete
first wins, and of two that are complete at the same character the longer one.
"""

from __future__ import annotations


class StopMatcher:
    """Give it the text as it comes; it returns what may be shown.

    Attributes:
        matched: the sequence that was found; nothing is shown from then on.
    """

    __slots__ = ("_firsts", "_held", "_longest", "_stops", "matched")

    def __init__(self, stops: tuple[str, ...]) -> None:
        """`stops` are not empty, and none of them is."""
        self._stops = stops
        self._firsts = frozenset(stop[0] for stop in stops)
        self._longest = max(map(len, stops))
        self._held = ""
        self.matched: str | None = None

    def feed(self, text: str) -> str:
        """The part of the text so far that can be in no match; "" when there is none."""
        if self.matched is not None:
            return ""
        text = self._held + text
        found = [
            (start + len(stop), start, stop)
            for stop in self._stops
            if (start := text.find(stop)) != -1
        ]
        if found:
            _, start, self.matched = min(found)
            self._held = ""
            return text[:start]
        start = self._first_possible_start(text)
        self._held = text[start:]
        return text[:start]

    def flush(self) -> str:
        """What was held back; the text ends here, or something else than text comes next."""
        held, self._held = self._held, ""
        return held

    def _first_possible_start(self, text: str) -> int:
        """Offset of the first character that may begin a sequence which is not complete yet."""
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            if text[start] in self._firsts and any(
                stop.startswith(text[start:]) for stop in self._stops
            ):
                return start
        return len(text)
