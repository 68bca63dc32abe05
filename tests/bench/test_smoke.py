"""The bench builds, and measures the reference proxy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).with_name("run.py")
CELL = "burst-2k-c2"
OPTIONS = ("--only", "reference", "--rounds", "1", "--starts", "1", "--duration", "0.2")


def test_a_short_run_against_the_reference_has_only_good_answers(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, str(RUN), "--cells", CELL, *OPTIONS, "--retries", "0"]

    run = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, timeout=60, check=False
    )

    assert run.returncode == 0, run.stderr + run.stdout
    summary = json.loads(out.read_text())["summary"]
    assert {"direct a2a", "reference a2a"} == set(summary[CELL])
    assert summary[CELL]["reference a2a"]["cpu_us_per_delta"] > 0
