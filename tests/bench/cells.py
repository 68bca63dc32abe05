"""The cells of the benchmark: what is asked, by how many clients, and how the upstream answers.

A cell is named `KIND-SIZE-cN`: a kind of `KINDS`, a size of `bodies.SIZES`, N connections, each
of which sends its next request when the last answer is whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bodies import SIZES

BURST_DELTAS = 50


@dataclass(frozen=True)
class Kind:
    """How the upstream answers.

    Attributes:
        upstream: settings of the fake upstream that differ from its defaults.
        deltas: marked deltas of one answer; 0 for a JSON answer.
        seconds: how long to measure; None for the run's own duration.
        is_staggered: the connections start evenly over one second.
        bystander: requests of the cell's size, a few a second, run beside the streams, whose own
            requests are then small: what is measured is how long big requests hold them up.
    """

    upstream: dict[str, int] = field(default_factory=dict)
    deltas: int = 0
    seconds: float | None = None
    is_staggered: bool = False
    bystander: bool = False


_PACED = {"chunks": 200, "interval_us": 5000}
KINDS = {
    "json": Kind(),
    "burst": Kind({"chunks": BURST_DELTAS}, deltas=BURST_DELTAS),
    "frames": Kind({"chunks": 1000}, deltas=1000),
    "tools": Kind({"chunks": 5, "tool_chunks": 45}, deltas=50),
    "paced": Kind(_PACED, deltas=200, seconds=2.5, is_staggered=True),
    "stall": Kind(_PACED, deltas=200, seconds=3, is_staggered=True, bystander=True),
}


@dataclass(frozen=True)
class Cell:
    """One cell, parsed."""

    name: str
    kind: Kind
    size: str
    connections: int

    @property
    def streams(self) -> bool:
        """Answers are server-sent events."""
        return self.kind.deltas > 0


def parse_cell(name: str) -> Cell:
    """The cell called `name`. Raises ValueError when there is none."""
    match = re.fullmatch(r"([a-z]+)-([0-9.]+[km])-c([1-9]\d*)", name)
    if match is None or match[1] not in KINDS or match[2] not in SIZES:
        raise ValueError(f"no cell {name!r}: want KIND-SIZE-cN, {list(KINDS)}, {list(SIZES)}")
    return Cell(name, KINDS[match[1]], match[2], int(match[3]))


PRESETS = {
    "quick": (
        "json-2k-c8 json-100k-c1 json-100k-c8 json-400k-c1 json-2m-c1 "
        "burst-100k-c8 frames-2k-c8 paced-100k-c64 stall-2m-c4"
    ),
    "goal": (
        "json-0.4k-c32 json-100k-c1 json-100k-c8 "
        "burst-100k-c1 burst-100k-c8 tools-100k-c8 paced-100k-c64 stall-2m-c4"
    ),
    "full": (
        "json-0.4k-c1 json-0.4k-c32 json-2k-c1 json-2k-c8 json-100k-c1 json-100k-c8 json-100k-c32 "
        "json-100k-c128 json-400k-c1 json-400k-c8 json-2m-c1 json-2m-c4 "
        "burst-2k-c1 burst-100k-c1 burst-100k-c8 burst-100k-c32 burst-400k-c1 burst-2m-c1 "
        "frames-2k-c8 tools-100k-c8 paced-2k-c1 paced-100k-c8 paced-100k-c64 stall-2m-c4"
    ),
}
