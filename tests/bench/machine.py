"""What the kernel says of processes and of the machine (Linux only)."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SPIN = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"


def process_tree(pid: int) -> list[int]:
    """`pid`, its descendants and everything in its session."""
    children: dict[int, list[int]] = {}
    todo = [pid]
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(folder.name))
            if int(fields[3]) == pid:
                todo.append(int(folder.name))
    seen: set[int] = set()
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += children.get(current, [])
    return [each for each in seen if (PROC / str(each)).exists()]


def cpu_s(pids: Collection[int]) -> float:
    """CPU seconds that the threads of `pids` have used, by the scheduler's clock."""
    nanoseconds = 0
    for pid in pids:
        with suppress(OSError):
            for task in (PROC / str(pid) / "task").iterdir():
                nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


@dataclass(frozen=True)
class Memory:
    """Memory of a process tree in MiB: resident now, its fair share of it, the most ever."""

    rss_mb: float
    pss_mb: float
    peak_mb: float

    as_dict = asdict


def memory(pids: Collection[int]) -> Memory:
    """Memory of `pids` together."""
    kilobytes = {"VmRSS": 0, "Pss": 0, "VmHWM": 0}
    for pid in pids:
        for file in ("status", "smaps_rollup"):
            with suppress(OSError):
                for line in (PROC / str(pid) / file).read_text().splitlines():
                    key, _, rest = line.partition(":")
                    if key in kilobytes:
                        kilobytes[key] += int(rest.split()[0])
    return Memory(*(round(value / 1024, 2) for value in kilobytes.values()))


def busy_and_stolen_s() -> tuple[float, float]:
    """CPU seconds of the whole machine: used by anyone, and taken away by the hypervisor."""
    ticks = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = ticks
    return (user + nice + system + irq + softirq) / _TICKS_PER_S, steal / _TICKS_PER_S


@contextmanager
def on_cpus(cpus: Collection[int] | None) -> Iterator[None]:
    """Processes started inside run on `cpus`; None leaves them where we are."""
    if cpus is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pids: Collection[int], cpus: Collection[int]) -> None:
    """Move all threads of running processes to `cpus`."""
    for pid in pids:
        with suppress(OSError):
            for task in (PROC / str(pid) / "task").iterdir():
                os.sched_setaffinity(int(task.name), cpus)


def weigh(pid: int, nice: int) -> None:
    """Give a process, and its session against other sessions, this nice value; 0 changes nothing."""
    if not nice:
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with suppress(OSError):
        (PROC / str(pid) / "autogroup").write_text(str(nice))


def spinners() -> list[subprocess.Popen[bytes]]:
    """One busy loop a CPU at the lowest weight.

    They keep the CPUs of a virtual machine from being put to sleep between two requests, which
    would show as time of the proxy.
    """
    started = []
    for cpu in sorted(os.sched_getaffinity(0)):
        with on_cpus({cpu}):
            process = subprocess.Popen([sys.executable, "-c", _SPIN], start_new_session=True)
        weigh(process.pid, 19)
        started.append(process)
    return started
