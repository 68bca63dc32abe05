"""Judges one target of a run against `goal.json`.

Ratios are taken within a round, where both sides ran seconds apart, and their median is judged.
A goal whose other side was not in the run is listed as not judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import DIRECT, dig, good_rounds, median, paired

Json = dict[str, Any]

LEVELS = ("must", "aim")
_HIGHER_IS_BETTER = frozenset({"rps"})
_NOT_PEERS = frozenset({"direct", "reference", "nginx"})
_LEAST_ADDED_US = 1.0  # so that a ratio of two tiny differences stays finite


@dataclass(frozen=True)
class Verdict:
    """One goal judged; `met` is None when it could not be."""

    met: bool | None
    text: str

    def __str__(self) -> str:
        word = {True: "met   ", False: "MISSED", None: "      "}[self.met]
        return f"{word} {self.text}"


def judge(results: Json, name: str, level: str) -> list[Verdict]:
    """Every goal for the target called `name`, at `must` or `aim`."""
    goal = json.loads(Path(__file__).with_name("goal.json").read_text())
    verdicts = [_ratio(results["cells"], row, name, level) for row in goal["ratios"]]
    for mode, limits in goal["stall_ms"].items():
        verdicts += _stall(results["cells"], f"{name} {mode}", limits, level)
    for key, facts in results["targets"].items():
        if key.startswith(f"{name} "):
            verdicts += [
                _absolute(key, facts, path, limits, level)
                for path, limits in goal["absolute"].items()
            ]
    return verdicts


def _ratio(cells: Json, row: Json, name: str, level: str) -> Verdict:
    lanes = cells.get(row["cell"], {})
    metric, rises = row["metric"], row["metric"] in _HIGHER_IS_BETTER
    direct = good_rounds(lanes.get(DIRECT))
    values = {
        lane: {number: _value(each, metric, direct.get(number)) for number, each in rounds.items()}
        for lane in lanes
        if (rounds := good_rounds(lanes[lane]))
    }
    mine = values.get(f"{name} {row['mode']}", {})
    other = _best_peer(values, row["mode"], name, rises=rises)
    if row["vs"] != "best-peer":
        other = f"{row['vs']} a2a"
    theirs = values.get(other, {})
    label = f"{row['mode']} {row['cell']} {metric} / {other or row['vs']}"
    ratio = median([mine[n] / theirs[n] for n in mine if mine[n] and theirs.get(n)])
    if ratio is None:
        return Verdict(None, f"{label}: not in this run")
    bad = sum(each["bad"] + each["errors"] for each in lanes[f"{name} {row['mode']}"])
    limit = row[level]
    met = not bad and (ratio >= limit if rises else ratio <= limit)
    bound = "at least" if rises else "at most"
    return Verdict(met, f"{label}: {ratio:.2f}, {bound} {limit}{', bad answers' if bad else ''}")


def _value(result: Json, metric: str, direct: Json | None) -> float | None:
    """The metric of one round; with a leading `+`, less the direct one."""
    value = dig(result, metric.removeprefix("+"))
    if not metric.startswith("+") or value is None:
        return value
    base = dig(direct, metric.removeprefix("+"))
    return None if base is None else max(value - base, _LEAST_ADDED_US)


def _best_peer(values: Json, mode: str, name: str, *, rises: bool) -> str | None:
    medians = {
        lane: figure
        for lane, rounds in values.items()
        if lane.endswith(f" {mode}") and lane.split()[0] not in {*_NOT_PEERS, name}
        if (figure := median(list(rounds.values())))
    }
    best = max if rises else min
    return best(medians, key=medians.__getitem__) if medians else None


def _stall(cells: Json, lane: str, limits: Json, level: str) -> list[Verdict]:
    """The longest that a big request held up the streams beside it, less what is not our doing."""
    verdicts = []
    for cell, lanes in cells.items():
        rounds, direct = good_rounds(lanes.get(lane)), good_rounds(lanes.get(DIRECT))
        held_us = paired(rounds, direct, "delay.max", lambda ours, theirs: ours - theirs)
        if cell.startswith("stall-") and held_us is not None:
            limit_ms = limits[level]
            text = f"{lane} {cell} longest added delay: {held_us / 1000:.1f} ms, at most {limit_ms}"
            verdicts.append(Verdict(held_us <= limit_ms * 1000, text))
    return verdicts


def _absolute(key: str, facts: Json, path: str, limits: Json, level: str) -> Verdict:
    value = dig(facts, path)
    value = median(value) if isinstance(value, list) else value
    if value is None:
        return Verdict(None, f"{key} {path}: not in this run")
    return Verdict(value <= limits[level], f"{key} {path}: {value:g}, at most {limits[level]}")
