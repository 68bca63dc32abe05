"""Which process listens on a TCP port. A module of its own: it alone needs psutil."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # ships no types

_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared with, not bound to


@dataclass(frozen=True, slots=True)
class PortOwner:
    """A listening process."""

    name: str
    pid: int


def port_owner(address: str, port: int) -> PortOwner | None:
    """The process that keeps `address`:`port` from us; None when the system does not say.

    Processes of other users are visible to root only.
    """
    for connection, pid in _listeners():
        local = connection.laddr
        if not local or local.port != port or pid is None:
            continue
        if local.ip == address or not _WILDCARDS.isdisjoint({local.ip, address}):
            try:
                return PortOwner(_name_of(psutil.Process(pid)), pid)
            except psutil.Error:
                return None
    return None


def _name_of(process: psutil.Process) -> str:
    """Its name; of a Python program the module or script, never an argument: those hold secrets."""
    name = str(process.name())
    if not name.startswith("python"):
        return name
    words = iter(process.cmdline()[1:])
    for word in words:
        if word == "-m":
            return next(words, name)
        if not word.startswith("-"):
            return Path(word).name
        if word == "-c":
            break
    return name


def _listeners() -> Iterator[tuple[Any, int | None]]:
    try:
        rows = [(row, row.pid) for row in psutil.net_connections(kind="tcp")]
    except psutil.AccessDenied:
        # macOS tells an ordinary user about the user's own processes only, one by one.
        rows = list(_own_connections())
    return (row for row in rows if row[0].status == psutil.CONN_LISTEN)


def _own_connections() -> Iterator[tuple[Any, int | None]]:
    for process in psutil.process_iter():
        try:
            for row in process.net_connections(kind="tcp"):
                yield row, process.pid
        except psutil.Error:
            continue
