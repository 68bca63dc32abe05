"""`llmproxyctl status`: what the daemon is doing, with the exit codes of an init script.

0 running; 1 died without cleaning up; 3 not running; 4 can not tell.
"""

from __future__ import annotations

import argparse
import time
from typing import Final

from llmproxyctl.client import ControlClient, ControlError, NotRunning
from llmproxyctl.process import is_alive
from llmproxyctl.render import Console, counted, duration, printable, table
from llmproxyd.control.schema import (
    STATUS_DIED,
    STATUS_RUNNING,
    STATUS_STOPPED,
    STATUS_UNKNOWN,
    VERSION,
    BackendStatus,
    LastReload,
    Status,
    to_json,
)

EPILOG = """\
exit codes: 0 running, 1 died without cleaning up, 3 not running, 4 can not tell.
"""
_HEAD: Final = ("", "BACKEND", "TYPE", "STATE", "REQUESTS", "FAILED", "MODEL", "URL")
_COLOR_OF_STATE: Final = {"ready": "green", "up": "green", "draining": "yellow"}


def configure(_parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(_args: argparse.Namespace, client: ControlClient, console: Console) -> int:
    """Show the status; the answer of a daemon that is not there is an answer too."""
    try:
        status = client.status()
    except ControlError as error:
        state, reason, exit_code = _absent(error, client)
        if console.as_json:
            console.say_json({"state": state, "socket": str(client.path), "reason": reason})
        else:
            console.talk(reason)
        return exit_code
    if console.as_json:
        console.say_json(to_json(status))
        return STATUS_RUNNING
    for line in _lines(status, console):
        console.say(line)
    if status.version != VERSION:
        console.talk(f"note: this client is {VERSION}, the daemon {printable(status.version)}")
    return STATUS_RUNNING


def _absent(error: ControlError, client: ControlClient) -> tuple[str, str, int]:
    if not isinstance(error, NotRunning):
        return "unknown", error.message, STATUS_UNKNOWN
    pid = client.recorded_pid()
    if pid is None:
        return "stopped", error.message, STATUS_STOPPED
    if is_alive(pid):
        return "unknown", f"llmproxyd (pid {pid}) is starting, or hangs", STATUS_UNKNOWN
    reason = f"llmproxyd (pid {pid}) died without cleaning up: `llmproxyctl start` starts it"
    return "died", reason, STATUS_DIED


def _lines(status: Status, console: Console) -> list[str]:
    names = ", then ".join([status.active, *status.fallback])
    lines = [
        f"llmproxyd {printable(status.version)} is {_state(status.state, console)}: "
        f"pid {status.pid}, up {duration(status.uptime_s)}, port {status.port}",
        f"base URL        {printable(status.base_url)}",
        f"active backend  {console.paint(printable(names), 'bold')}",
        f"configuration   {printable(status.config_path) or 'none, built-in defaults'}"
        f" (generation {status.generation})",
        f"in flight       {counted(status.in_flight, 'request')}",
    ]
    if status.degraded:
        lines.append(f"degraded        {console.paint(printable(status.degraded), 'yellow')}")
    if status.last_reload and not status.last_reload.ok:
        lines.append(console.paint(f"{_when(status.last_reload)} was refused:", "red"))
        lines += [f"  {printable(problem)}" for problem in status.last_reload.problems]
    return [*lines, "", *_backends(status), *_reasons(status)]


def _when(reload: LastReload) -> str:
    if not reload.when_s:
        return "the last reload"
    return f"the reload {duration(time.time() - reload.when_s)} ago"


def _state(state: str, console: Console) -> str:
    return console.paint(printable(state), _COLOR_OF_STATE.get(state, "red"))


def _backends(status: Status) -> list[str]:
    return table([_HEAD, *(_row(backend, status.active) for backend in status.backends)])


def _reasons(status: Status) -> list[str]:
    """Why a backend is in its state, below the table: sentences would tear its columns apart."""
    told = [
        f"{printable(backend.name)} is {printable(backend.state)}: {printable(backend.reason)}"
        for backend in status.backends
        if backend.reason
    ]
    return ["", *told] if told else []


def _row(backend: BackendStatus, active: str) -> tuple[str, ...]:
    return (
        "*" if backend.name == active else "",
        backend.name,
        "/".join(filter(None, (backend.kind, backend.protocol))),
        backend.state,
        str(backend.requests),
        str(backend.failures),
        backend.model or "-",
        backend.url,
    )
