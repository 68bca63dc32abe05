"""Builds the C parts: the fake upstream and the load generator."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SOURCES = Path(__file__).resolve().parent / "native"
_PROGRAMS = {
    "upstream": ("upstream.c", "payload.c", "request.c"),
    "loadgen": ("loadgen.c", "answer.c"),
}
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra")


@dataclass(frozen=True)
class Programs:
    """Paths of the compiled programs."""

    upstream: Path
    loadgen: Path


def build(folder: Path) -> Programs:
    """Compile into `folder`, with `$CC` or gcc; what is newer than its sources is kept."""
    newest = max(source.stat().st_mtime for source in _SOURCES.iterdir())
    for name, sources in _PROGRAMS.items():
        program = folder / name
        if program.exists() and program.stat().st_mtime > newest:
            continue
        compiler = os.environ.get("CC", "gcc")
        files = [str(_SOURCES / source) for source in sources]
        subprocess.run([compiler, *_FLAGS, "-o", str(program), *files], check=True)
    return Programs(folder / "upstream", folder / "loadgen")
