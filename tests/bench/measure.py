"""Measures one cell of one target, and the memory that idle connections take."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import bodies
from machine import Memory, busy_and_stolen_s, cpu_s, memory, on_cpus

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from cells import Cell
    from fake_upstream import FakeUpstream
    from targets import Target
    from toolchain import Programs

_STALLED_SIZE = "2k"  # of the requests whose streams a bystander may hold up
_BYSTANDER_RATE = 5  # requests a second
_IDLE_WARM_UP = 100  # connections, so that what is allocated once does not count
_IDLE_MEASURED = 300

Result = dict[str, Any]


@dataclass
class Bench:
    """All that a measurement needs besides its target and cell.

    Attributes:
        proxy_cpus, load_cpus: where targets run, and everything else; None: anywhere.
    """

    scratch: Path
    programs: Programs
    upstream: FakeUpstream
    proxy_cpus: Collection[int] | None
    load_cpus: Collection[int] | None
    nice: int
    spinners: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def body(self, size: str, model: str, *, stream: bool) -> Path:
        """A file with the request body."""
        kind = "stream" if stream else "json"
        path = self.scratch / f"{size}-{model.replace('/', '_')}-{kind}.json"
        if not path.exists():
            path.write_bytes(bodies.body(size, model, stream=stream))
        return path


def measure(bench: Bench, target: Target, mode: str, cell: Cell, seconds: float) -> Result:
    """Run one cell: the load generator's figures and what they cost the target.

    `seconds` counts for kinds without a duration of their own. Raises RuntimeError when the
    load generator fails.
    """
    seconds = cell.kind.seconds or seconds
    bench.upstream.configure(cell.kind.upstream)
    command = _load(bench, target, mode, cell, seconds)
    ours = [bench.upstream.pid, os.getpid(), *(spinner.pid for spinner in bench.spinners)]
    pids = target.pids()
    began, target_cpu, our_cpu = time.monotonic(), cpu_s(pids), cpu_s(ours)
    busy, stolen = busy_and_stolen_s()
    with on_cpus(bench.load_cpus):
        bystander = _bystander(bench, target, mode, cell, seconds)
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    target_cpu, our_cpu = cpu_s(pids) - target_cpu, cpu_s(ours) - our_cpu
    wall_s = time.monotonic() - began
    busy_after, stolen_after = busy_and_stolen_s()
    if run.returncode:
        raise RuntimeError(run.stderr[-400:])
    result: Result = json.loads(run.stdout)
    load_cpu = result["loadgen_cpu_s"]
    if bystander is not None:
        beside = json.loads(bystander.communicate()[0])
        load_cpu += beside["loadgen_cpu_s"]
        for problem in ("bad", "errors"):
            result[problem] += beside[problem]
    answers = max(1, result["all"])
    foreign = busy_after - busy - target_cpu - our_cpu - load_cpu
    return result | {
        "mode": mode,
        "wall_s": round(wall_s, 3),
        "cpu_ms_per_request": round(target_cpu / answers * 1e3, 4),
        "cpu_us_per_delta": _per_delta(cell, target_cpu / answers),
        "cores": round(target_cpu / wall_s, 3),
        "foreign_cores": round(max(0.0, foreign) / wall_s, 3),
        "stolen_cores": round((stolen_after - stolen) / wall_s, 3),
    }


def _per_delta(cell: Cell, cpu_s_per_request: float) -> float | None:
    if not cell.streams or cell.kind.bystander:
        return None
    return round(cpu_s_per_request / cell.kind.deltas * 1e6, 3)


def _load(bench: Bench, target: Target, mode: str, cell: Cell, seconds: float) -> list[str]:
    size = _STALLED_SIZE if cell.kind.bystander else cell.size
    command = _generator(bench, target, bench.body(size, target.model(mode), stream=cell.streams))
    command += ["-c", str(cell.connections), "-d", str(seconds), "-w", str(min(0.4, seconds / 4))]
    if cell.kind.is_staggered:
        command += ["-g", str(1_000_000 // cell.connections)]
    if cell.streams:
        return [*command, "-S", str(cell.kind.deltas), "-m", "message_stop"]
    return [*command, "-m", '"usage"']


def _bystander(
    bench: Bench, target: Target, mode: str, cell: Cell, seconds: float
) -> subprocess.Popen[str] | None:
    if not cell.kind.bystander:
        return None
    command = _generator(bench, target, bench.body(cell.size, target.model(mode), stream=False))
    command += ["-r", str(_BYSTANDER_RATE), "-d", str(seconds), "-m", '"usage"']
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _generator(bench: Bench, target: Target, body: Path) -> list[str]:
    command = [str(bench.programs.loadgen), "-u", target.url(), "-b", str(body), "-t", "45"]
    for name, value in target.all_headers().items():
        command += ["-H", f"{name}: {value}"]
    return command


def idle_connection_kb(target: Target, body: bytes) -> float:
    """Resident memory of one kept connection that has had one answer, in kB."""
    head = [f"{name}: {value}" for name, value in target.all_headers().items()]
    head = ["POST /v1/messages HTTP/1.1", f"host: 127.0.0.1:{target.port}", *head]
    head += ["content-type: application/json", f"content-length: {len(body)}", "", ""]
    request = "\r\n".join(head).encode() + body
    connections: list[socket.socket] = []
    try:
        _connect(target, request, connections, _IDLE_WARM_UP)
        before = memory(target.pids()).rss_mb
        _connect(target, request, connections, _IDLE_MEASURED)
        grown = memory(target.pids()).rss_mb - before
    finally:
        for connection in connections:
            connection.close()
    return round(grown * 1024 / _IDLE_MEASURED, 1)


def _connect(target: Target, request: bytes, connections: list[socket.socket], count: int) -> None:
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", target.port), timeout=20)
        connections.append(connection)
        connection.sendall(request)
        answer = b""
        while b'"usage"' not in answer:
            received = connection.recv(65536)
            if not received:
                raise ConnectionError(f"{target.key}: closed a kept connection")
            answer += received


def settled_memory(target: Target) -> Memory | None:
    """Memory of a target that has nothing to do; None when its process is not known."""
    pids = target.pids()
    return memory(pids) if pids else None
