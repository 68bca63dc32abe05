#!/usr/bin/env python3
"""Measures what llmproxyd adds to a request, against going direct, in one run. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import goal
import report
import targets as lanes
from cells import PRESETS, Cell, parse_cell
from fake_upstream import FakeUpstream
from machine import pin, spinners
from measure import Bench, Result, idle_connection_kb, measure, settled_memory
from targets import MODES, NotReady, Target
from toolchain import build

Json = dict[str, Any]
_SETTLE_S = 0.3
_RETRIES = 2


@dataclass
class Run:
    """One run of the benchmark and its results so far.

    Attributes:
        cells: results by cell and lane, one a round; a lane is a target in one mode.
        facts: start-up and memory by target.
        failed: what did not work, and why.
    """

    bench: Bench
    options: argparse.Namespace
    targets: list[Target]
    cells: dict[str, dict[str, list[Result]]] = field(default_factory=dict)
    facts: Json = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start every target, as often as asked; one that fails is left out."""
        for target in list(self.targets):
            body = self._small_body(target)
            log = self.bench.scratch / f"{target.key.replace(' ', '-')}.log"
            try:
                for _ in range(self.options.starts if target.command else 1):
                    target.stop()
                    target.start(log, body, self.bench.proxy_cpus, self.options.nice)
            except (NotReady, OSError) as problem:
                self._give_up(target, f"{problem}\n{_last_lines(log)}")
                continue
            if target.pid and self.bench.proxy_cpus:
                pin(target.pids(), self.bench.proxy_cpus)
            self._note_start(target, body)

    def _note_start(self, target: Target, body: bytes) -> None:
        if not target.pids():
            return
        time.sleep(_SETTLE_S)
        at_start = settled_memory(target)
        facts = {"start_s": target.start_s, "at_start": at_start.as_dict()}
        self.bench.upstream.configure({})
        try:
            facts["idle_connection_kb"] = idle_connection_kb(target, body)
        except OSError as problem:
            self.failed[f"{target.key} idle connections"] = str(problem)
        self.facts[target.key] = facts
        say(f"started {target.key}: {target.start_s} s, {at_start.rss_mb} MB")

    def _small_body(self, target: Target) -> bytes:
        model = target.model(target.modes[0])
        return self.bench.body("0.4k", model, stream=False).read_bytes()

    def _give_up(self, target: Target, why: str) -> None:
        target.stop()
        self.targets.remove(target)
        self.failed[target.key] = why
        say(f"FAILED {target.key}: {why}")

    def lanes_of(self, cell: Cell) -> list[tuple[Target, str]]:
        """Who takes part in a cell, in which mode."""
        kind = cell.name.partition("-")[0]
        return [
            (target, mode)
            for target in self.targets
            for mode in target.modes
            if kind not in target.skip and mode in self.options.modes
        ]

    def warm_up(self) -> None:
        """Half a second of each sort, so that the first cell pays for nothing."""
        for cell in (parse_cell("json-100k-c8"), parse_cell("burst-100k-c8")):
            for target, mode in self.lanes_of(cell):
                result = self._measured(target, mode, cell, 0.3)
                if problem := _problem_of(result):
                    self.failed[f"{target.name} {mode} {cell.name} warm-up"] = problem

    def measure(self, cell: Cell) -> None:
        """All rounds of one cell; who goes first changes from round to round."""
        results = self.cells[cell.name] = {}
        for number in range(self.options.rounds):
            here = self.lanes_of(cell)
            first = number % len(here)
            for target, mode in here[first:] + here[:first]:
                result = self._quietest(target, mode, cell)
                result["round"] = number
                results.setdefault(f"{target.name} {mode}", []).append(result)
                if target.is_dead():
                    self._give_up(target, f"exited {target.process.returncode} in {cell.name}")
            rates = (f"{lane} {each[-1].get('rps', 'ERROR')}" for lane, each in results.items())
            say(f"{cell.name} {number + 1}/{self.options.rounds} req/s: {', '.join(rates)}")

    def _quietest(self, target: Target, mode: str, cell: Cell) -> Result:
        """Measure; again when others used the machine, and keep the least disturbed try."""
        best: Result = {}
        for _ in range(1 + self.options.retries):
            result = self._measured(target, mode, cell, self.options.duration)
            if not best or _noise(result) < _noise(best):
                best = result
            if "error" in result or _noise(result) <= self.options.max_noise:
                break
        return best

    def _measured(self, target: Target, mode: str, cell: Cell, seconds: float) -> Result:
        try:
            return measure(self.bench, target, mode, cell, seconds)
        except (RuntimeError, OSError, ValueError) as problem:
            return {"error": str(problem)[:400]}

    def results(self) -> Json:
        """Everything, ready for JSON."""
        for target in self.targets:
            if target.key in self.facts:
                self.facts[target.key]["at_end"] = settled_memory(target).as_dict()
        return {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "host": {
                "cpus": os.cpu_count(),
                "kernel": platform.release(),
                "python": platform.python_version(),
            },
            "options": {key: str(value) for key, value in vars(self.options).items()},
            "targets": self.facts,
            "failed": self.failed,
            "summary": report.summarise(self.cells),
            "cells": self.cells,
        }

    def stop(self) -> None:
        """End everything that was started."""
        for target in self.targets:
            target.stop()
        for spinner in self.bench.spinners:
            spinner.terminate()
            spinner.wait()
        self.bench.upstream.stop()


def _problem_of(result: Result) -> str:
    if "error" in result:
        return result["error"]
    if result["bad"] + result["errors"] or not result["all"]:
        keys = ("all", "bad", "errors", "bad_status", "bad_sample")
        return json.dumps({key: result.get(key) for key in keys})
    return ""


def _noise(result: Result) -> float:
    return result.get("foreign_cores", 99) + result.get("stolen_cores", 0)


def _last_lines(log: Path) -> str:
    return log.read_text(errors="replace")[-600:] if log.exists() else ""


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def choose_targets(options: argparse.Namespace, upstream_url: str, scratch: Path) -> list[Target]:
    """Direct, the reference, the daemons, the installed peers and what runs already."""
    found, missing = lanes.peers(upstream_url, scratch, options.peers)
    if missing:
        say(f"not installed, left out: {', '.join(missing)}")
    everything = [lanes.reference(upstream_url), *lanes.daemons(upstream_url, scratch)]
    for name, _, checkout in (each.partition("=") for each in options.also):
        everything += lanes.daemons(upstream_url, scratch, name, Path(checkout).resolve())
    everything += [*found, *map(lanes.running, options.target)]
    chosen = set(options.only.split(",")) if options.only else {each.name for each in everything}
    wanted = [
        each
        for each in everything
        if each.name in chosen and any(mode in options.modes for mode in each.modes)
    ]
    port = int(upstream_url.rpartition(":")[2])
    direct = Target(name="direct", modes=(lanes.PASS_THROUGH,), port=port)
    return [direct, *wanted]


def run(options: argparse.Namespace, scratch: Path) -> Json:
    """Build, start, measure and stop."""
    cpus = sorted(os.sched_getaffinity(0))
    pinned = options.pin and len(cpus) > 1
    proxy_cpus, load_cpus = (cpus[:1], cpus[1:]) if pinned else (None, None)
    programs = build(scratch)
    upstream = FakeUpstream(programs.upstream, load_cpus, options.nice)
    bench = Bench(scratch, programs, upstream, proxy_cpus, load_cpus, options.nice)
    this = Run(bench, options, [])
    try:
        if options.spin:
            bench.spinners = spinners()
        if load_cpus:
            os.sched_setaffinity(0, load_cpus)
        this.targets = choose_targets(options, upstream.url, scratch)
        this.start()
        this.warm_up()
        for name in options.cells.split():
            this.measure(parse_cell(name))
        return this.results()
    finally:
        this.stop()


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, with what --quick implies filled in."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="ten cells, short: about two minutes")
    add("--cells", default="", help=f"names, or one of {', '.join(PRESETS)} (full)")
    add("--only", default="", help="targets by name, with commas; direct is always there")
    add("--modes", default=",".join(MODES), help="a2a, a2o or both")
    add("--target", action="append", default=[], metavar="NAME=PORT[,pid=N]…", help="runs already")
    add("--also", action="append", default=[], metavar="NAME=DIR", help="the daemon of a checkout")
    add("--rounds", type=int, help="of each cell (3; quick: 2)")
    add("--duration", type=float, help="seconds of a cell (1.5; quick: 0.7)")
    add("--starts", type=int, help="starts of each target (3; quick: 2)")
    add("--retries", type=int, help=f"of a cell that others disturbed ({_RETRIES}; quick: 0)")
    add("--max-noise", type=float, default=0.4, help="cores of others that disturb a cell (0.4)")
    add("--no-pin", dest="pin", action="store_false", help="leave the placing to the kernel")
    add("--nice", type=int, default=0, help="nice value of all parts; below 0 needs root")
    add("--spin", action="store_true", help="keep a virtual machine's CPUs awake")
    add("--peers", type=Path, default=Path("peers-env"), help="where peers/setup.sh put them")
    add("--scratch", type=Path, help="keep configurations, logs and programs here")
    add("--out", type=Path, help="write all results here as JSON")
    add("--json", action="store_true", help="print JSON in place of tables")
    add("--compare", type=Path, help="a file of --out; fails when CPU per request has risen")
    add("--tolerance", type=float, default=0.25, help="the rise that --compare lets pass (0.25)")
    add(
        "--goal", choices=goal.LEVELS, help="judge llmproxyd by goal.json; fails when one is missed"
    )
    add("--report", type=Path, help="no run: show, compare or judge this file of --out")
    options = parser.parse_args(arguments)
    full = {"cells": "full", "rounds": 3, "duration": 1.5, "starts": 3, "retries": _RETRIES}
    quick = {"cells": "quick", "rounds": 2, "duration": 0.7, "starts": 2, "retries": 0}
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name) in (None, ""):
            setattr(options, name, value)
    options.cells = PRESETS.get(options.cells, options.cells.replace(",", " "))
    for name in options.cells.split():
        try:
            parse_cell(name)
        except ValueError as problem:
            parser.error(str(problem))
    return options


def measured(options: argparse.Namespace) -> Json:
    """Results of a file, or of a run in a scratch folder."""
    if options.report:
        return json.loads(options.report.read_text())
    if options.scratch:
        options.scratch.mkdir(parents=True, exist_ok=True)
        return run(options, options.scratch.resolve())
    scratch = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        return run(options, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> int:
    """Returns 1 when a comparison or a goal failed, 3 when there were bad answers, else 0."""
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stops what was started
    results = measured(options)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))
    print(json.dumps(results, indent=1) if options.json else report.tables(results))
    status = 3 if _has_bad_answers(results) else 0
    if options.compare:
        text, is_worse = report.compare(
            results, json.loads(options.compare.read_text()), options.tolerance
        )
        say("\n" + text)
        status = status or int(is_worse)
    if options.goal:
        verdicts = goal.judge(results, "llmproxyd", options.goal)
        say("\n" + "\n".join(map(str, verdicts)))
        status = status or int(any(verdict.met is False for verdict in verdicts))
    return status


def _has_bad_answers(results: Json) -> bool:
    rounds = (each for cell in results["cells"].values() for lane in cell.values() for each in lane)
    return bool(results["failed"]) or any(_problem_of(each) for each in rounds)


if __name__ == "__main__":
    sys.exit(main())
