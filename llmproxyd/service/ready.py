"""How a start ends: ready, or with one sentence and an exit code.

`llmproxyctl start` gives the daemon the writing end of a pipe (`--ready-fd N`) and reads one
JSON line from it:

    {"ok": true, "status": {...}}          the port answers; status as on the control socket
    {"ok": false, "error": "...", "exit_code": 6, "already_running": false}

A pipe that closes without a line means that the daemon died.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


class StartupError(Exception):
    """The daemon can not start.

    Attributes:
        message: one sentence that names the fix; several lines for several problems.
        exit_code: of the process; the codes are in `control.schema`.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


class AlreadyRunning(StartupError):
    """Another daemon owns the control socket."""


class Ready:
    """Tells whoever started us how it went; only the first word counts.

    Args:
        fd: the pipe, closed after the first word; None when nobody waits.

    Raises:
        StartupError: `fd` is not open.
    """

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        if fd is None:
            return
        try:
            os.set_inheritable(fd, False)  # noqa: FBT003  # the parameter has no keyword
        except OSError:
            raise StartupError(f"--ready-fd {fd} is not an open file", exit_code=2) from None

    def ok(self, status: Mapping[str, Any]) -> None:
        """The port answers. `status` is `control.schema.Status` as JSON object."""
        self._say({"ok": True, "status": status})

    def failed(self, error: StartupError) -> None:
        """The start is over."""
        self._say(
            {
                "ok": False,
                "error": error.message,
                "exit_code": error.exit_code,
                "already_running": isinstance(error, AlreadyRunning),
            }
        )

    def _say(self, line: Mapping[str, Any]) -> None:
        if self._fd is None:
            return
        # Who waited may have gone; that is no reason to fail.
        with suppress(OSError), open(self._fd, "w", encoding="utf-8") as pipe:  # noqa: PTH123
            pipe.write(json.dumps(line) + "\n")
        self._fd = None
