"""Waiting for the end of a process that is not our child."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol

_POLL_EVERY_S: Final = 0.05


class Wait(Protocol):
    """Waits until the process has ended, at most `timeout_s`; True when it has."""

    def __call__(self, timeout_s: float) -> bool:
        """See the class."""
        ...


@contextmanager
def end_of(pid: int) -> Iterator[Wait]:
    """Give a function that waits for the end of `pid`; open it before you ask `pid` to end.

    On Linux a pidfd names the process even if its pid is given away meanwhile, and it tells the
    end also of a process whose parent never asks for it, as in a container whose first process
    is no init. Elsewhere the pid is probed.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            fd = os.pidfd_open(pid)
            try:
                yield lambda timeout_s: bool(select.select([fd], [], [], timeout_s)[0])
            finally:
                os.close(fd)
            return
    yield lambda timeout_s: _probe(pid, timeout_s)


def is_alive(pid: int) -> bool:
    """Whether a process has this pid, ours or not, and has not ended."""
    with end_of(pid) as wait:
        return not wait(0)


def _probe(pid: int, timeout_s: float) -> bool:
    give_up_s = time.monotonic() + timeout_s
    while _exists(pid):
        if time.monotonic() >= give_up_s:
            return False
        time.sleep(_POLL_EVERY_S)
    return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
