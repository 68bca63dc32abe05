"""Turns the rounds of a run into figures, tables, and a comparison with an earlier run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]

DIRECT = "direct a2a"
REFERENCE = "reference a2a"

# figure: path in one round's result
_PLAIN = {
    "rps": "rps",
    "p50_us": "latency.p50",
    "p99_us": "latency.p99",
    "delay_p50_us": "delay.p50",
    "delay_p99_us": "delay.p99",
    "delay_max_us": "delay.max",
    "cpu_ms_per_request": "cpu_ms_per_request",
    "cpu_us_per_delta": "cpu_us_per_delta",
    "cores": "cores",
    "foreign_cores": "foreign_cores",
    "stolen_cores": "stolen_cores",
}
# figure: path; less the direct one of the same round
_ADDED = {
    "added_p50_us": "latency.p50",
    "added_p95_us": "latency.p95",
    "added_p99_us": "latency.p99",
    "added_ttft_p50_us": "first_mark.p50",
    "added_ttft_p99_us": "first_mark.p99",
}
# head, figure, divisor, decimals
_COLUMNS = (
    ("rps", "rps", 1, 0),
    ("p50 ms", "p50_us", 1000, 2),
    ("+p50", "added_p50_us", 1000, 2),
    ("+p99", "added_p99_us", 1000, 2),
    ("+ttft50", "added_ttft_p50_us", 1000, 2),
    ("+ttft99", "added_ttft_p99_us", 1000, 2),
    ("delay50", "delay_p50_us", 1000, 2),
    ("delay99", "delay_p99_us", 1000, 2),
    ("max", "delay_max_us", 1000, 1),
    ("cpu ms/req", "cpu_ms_per_request", 1, 3),
    ("us/delta", "cpu_us_per_delta", 1, 1),
    ("cpu/ref", "cpu_per_reference", 1, 2),
    ("foreign", "foreign_cores", 1, 2),
)
_TARGET_COLUMNS = ("start s", "RSS MB", "PSS", "after load", "peak", "kB/connection")


def dig(value: Any, path: str) -> Any:
    """The member at a dotted path, or None."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def good_rounds(results: Sequence[Json] | None) -> dict[int, Json]:
    """Those rounds that could be measured, by number."""
    return {each["round"]: each for each in results or () if "error" not in each}


def median(values: Sequence[float | None]) -> float | None:
    """The median of those that there are."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def paired(
    rounds: dict[int, Json],
    base: dict[int, Json],
    path: str,
    combine: Callable[[float, float], float],
) -> float | None:
    """Median over the rounds of `combine(ours, theirs)`, both taken in the same round."""
    pairs = [(dig(each, path), dig(base.get(number), path)) for number, each in rounds.items()]
    return median([combine(ours, theirs) for ours, theirs in pairs if ours and theirs])


def summarise(cells: dict[str, dict[str, list[Json]]]) -> dict[str, dict[str, Json]]:
    """Figures by cell and lane (a target in a mode): medians over the rounds."""
    summary: dict[str, dict[str, Json]] = {}
    for cell, lanes in cells.items():
        direct = good_rounds(lanes.get(DIRECT))
        reference = good_rounds(lanes.get(REFERENCE))
        for lane, results in lanes.items():
            rounds = good_rounds(results)
            if not rounds:
                continue
            figures: Json = {
                name: median([dig(each, path) for each in rounds.values()])
                for name, path in _PLAIN.items()
            }
            figures |= {
                name: paired(rounds, direct, path, lambda ours, theirs: ours - theirs)
                for name, path in _ADDED.items()
            }
            figures["cpu_per_reference"] = paired(
                rounds, reference, "cpu_ms_per_request", lambda ours, theirs: ours / theirs
            )
            figures["requests"] = sum(each["requests"] for each in rounds.values())
            figures["bad"] = sum(each["bad"] + each["errors"] for each in rounds.values())
            summary.setdefault(cell, {})[lane] = figures
    return summary


def tables(results: Json) -> str:
    """The whole run as text."""
    parts = [_cells_table(results["summary"]), _targets_table(results["targets"])]
    if results["failed"]:
        parts.append("\n".join(f"FAILED {key}: {why}" for key, why in results["failed"].items()))
    return "\n\n".join(parts)


def _cells_table(summary: dict[str, dict[str, Json]]) -> str:
    rows = []
    for cell, lanes in summary.items():
        for lane, figures in lanes.items():
            row = [cell, lane]
            for _, figure, divisor, decimals in _COLUMNS:
                is_blank = lane == DIRECT and figure.startswith(("added", "cpu"))
                row.append("" if is_blank else _number(figures[figure], divisor, decimals))
            rows.append([*row, str(figures["bad"] or "")])
    return _table(["cell", "target", *(column[0] for column in _COLUMNS), "bad"], rows)


def _targets_table(targets: Json) -> str:
    rows = []
    for key, facts in targets.items():
        values = (
            (median(facts["start_s"]), 2),
            (dig(facts, "at_start.rss_mb"), 1),
            (dig(facts, "at_start.pss_mb"), 1),
            (dig(facts, "at_end.rss_mb"), 1),
            (dig(facts, "at_end.peak_mb"), 1),
            (facts.get("idle_connection_kb"), 1),
        )
        rows.append([key, *(_number(value, 1, decimals) for value, decimals in values)])
    return _table(["target", *_TARGET_COLUMNS], rows)


def _number(value: float | None, divisor: float, decimals: int) -> str:
    return "" if value is None else f"{value / divisor:.{decimals}f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row: list[str], fill: str = " ") -> str:
        text_columns = 2 if head[0] == "cell" else 1
        aligned = [
            value.ljust(width, fill) if column < text_columns else value.rjust(width, fill)
            for column, (value, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(aligned)} |"

    return "\n".join([line(head), line(["-"] * len(head), "-"), *(line(row) for row in rows)])


def compare(now: Json, before: Json, tolerance: float) -> tuple[str, bool]:
    """CPU per request now and in an earlier run, both as multiples of that run's reference.

    Returns a table of the lanes that both runs hold, and whether any of them got dearer than
    `tolerance` (0.25: by a quarter) allows.
    """
    rows = []
    is_worse = False
    for cell, lanes in now["summary"].items():
        for lane, figures in lanes.items():
            old = dig(before["summary"].get(cell, {}).get(lane), "cpu_per_reference")
            new = figures["cpu_per_reference"]
            if lane in (DIRECT, REFERENCE) or not old or not new:
                continue
            change = new / old - 1
            is_worse |= change > tolerance
            flag = "DEARER" if change > tolerance else ""
            rows.append([cell, lane, f"{old:.2f}", f"{new:.2f}", f"{change:+.0%}", flag])
    head = ["cell", "target", "cpu/ref before", "now", "change", ""]
    return _table(head, rows), is_worse
