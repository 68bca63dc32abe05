"""The fake upstream as a running process."""

from __future__ import annotations

import http.client
import json
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from machine import on_cpus, weigh

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_DEFAULTS = {
    "chunks": 50,
    "tool_chunks": 0,
    "interval_us": 0,
    "first_us": 0,
    "text": 24,
    "batch": 1,
    "answer": 1500,
}


class FakeUpstream:
    """Both wire formats on one free port of 127.0.0.1."""

    def __init__(self, program: Path, cpus: Collection[int] | None, nice: int) -> None:
        with on_cpus(cpus):
            self._process = subprocess.Popen([str(program)], stdout=subprocess.PIPE)
        weigh(self._process.pid, nice)
        self.pid = self._process.pid
        self.port: int = json.loads(self._process.stdout.readline())["port"]
        self.url = f"http://127.0.0.1:{self.port}"

    def configure(self, settings: dict[str, int]) -> None:
        """Answer by the defaults with `settings` on top."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/__ctl?" + urlencode(_DEFAULTS | settings))
        connection.getresponse().read()
        connection.close()

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()
