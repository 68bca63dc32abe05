"""HTTP over the control socket, with the standard library.

Every failure is a sentence for a person: what is the matter, then what to do. The daemon answers
a quick call within milliseconds; one that needs more than two seconds hangs.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from llmproxyd.control import schema
from llmproxyd.control.schema import (
    ErrorReply,
    ReloadReply,
    Status,
    StopRequest,
    UseRequest,
    VersionReply,
    from_json,
    to_json,
)

QUICK_S: Final = 2.0
# Reading a configuration may mean asking slow disks and secret stores.
RELOAD_S: Final = 30.0
_RETRY_EVERY_S: Final = 0.05
_ERROR_STATUS: Final = 400
_ROOT_UID: Final = 0
_EXIT_OF_STATUS: Final = {403: schema.EXIT_NOT_ALLOWED, 422: schema.EXIT_NOT_CONFIGURED}

T = TypeVar("T")


class ControlError(Exception):
    """The call did not work. `message` says why and what to do; `exit_code` is for the shell."""

    def __init__(self, message: str, exit_code: int = schema.EXIT_FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


class NotRunning(ControlError):
    """Nobody listens on the control socket."""


class Refused(ControlError):
    """The daemon understood and said no; `reply` is what it said."""

    def __init__(self, reply: ErrorReply) -> None:
        lines = [reply.detail or reply.title, *(f"  {problem}" for problem in reply.problems)]
        exit_code = _EXIT_OF_STATUS.get(reply.status, schema.EXIT_FAILED)
        super().__init__("\n".join(lines), exit_code)
        self.reply = reply


class ControlClient:
    """The daemon that owns the control socket at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def version(self) -> VersionReply:
        """Version of the daemon and of its control API."""
        return self._read(VersionReply, "GET", schema.VERSION_PATH)

    def status(self, *, patience_s: float = 0.0) -> Status:
        """How the daemon stands. A daemon that is just starting is waited for `patience_s`."""
        give_up_s = time.monotonic() + patience_s
        while True:
            try:
                return self._read(Status, "GET", schema.STATUS_PATH)
            except NotRunning:
                if time.monotonic() >= give_up_s:
                    raise
                time.sleep(_RETRY_EVERY_S)

    def reload(self) -> ReloadReply:
        """Read the configuration again. Raises Refused with what is wrong with it."""
        return self._read(ReloadReply, "POST", schema.RELOAD_PATH, {}, timeout_s=RELOAD_S)

    def use(self, backend: str) -> ReloadReply:
        """Make another backend the active one. Raises Refused for a name that is unknown."""
        body = to_json(UseRequest(backend=backend))
        return self._read(ReloadReply, "POST", schema.USE_PATH, body, timeout_s=RELOAD_S)

    def stop(self, grace_s: float | None) -> Status:
        """Ask the daemon to drain and end; returns before it has."""
        body = to_json(StopRequest(grace_s=grace_s))
        return self._read(Status, "POST", schema.STOP_PATH, body)

    def recorded_pid(self) -> int | None:
        """The pid in the lock file: there while a daemon runs, and after one died."""
        try:
            return int(schema.lock_path(self.path).read_text("ascii"))
        except (OSError, ValueError):
            return None

    def _read(
        self,
        kind: type[T],
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = QUICK_S,
    ) -> T:
        status, raw = self._call(method, path, body, timeout_s)
        try:
            data = json.loads(raw)
            if status >= _ERROR_STATUS:
                raise Refused(from_json(ErrorReply, data))
            return from_json(kind, data)
        except (ValueError, TypeError):
            raise ControlError(
                f"{self.path} gave an answer that is not llmproxyd's: restart it, if it is"
            ) from None

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, timeout_s: float
    ) -> tuple[int, bytes]:
        headers = {schema.API_HEADER: str(schema.API_VERSION), "Connection": "close"}
        content = None
        if body is not None:
            headers["Content-Type"] = schema.JSON_TYPE
            content = json.dumps(body).encode()
        connection = _UnixConnection(self.path, timeout_s)
        try:
            self._check_owner()
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._explained(error, timeout_s) from None
        finally:
            connection.close()

    def _check_owner(self) -> None:
        owner = self.path.stat().st_uid
        # Whoever owns it would be told, and could tell us, anything.
        if os.geteuid() not in {owner, _ROOT_UID} and owner != _ROOT_UID:
            raise PermissionError(f"it belongs to uid {owner}")

    def _explained(self, error: Exception, timeout_s: float) -> ControlError:
        match error:
            case FileNotFoundError() | ConnectionRefusedError() | NotADirectoryError():
                return NotRunning(
                    "llmproxyd is not running: `llmproxyctl start` starts it",
                    schema.EXIT_NOT_RUNNING,
                )
            case PermissionError():
                return ControlError(
                    f"you may not use {self.path} ({error.strerror or error}): "
                    "run this as the user who started llmproxyd",
                    schema.EXIT_NOT_ALLOWED,
                )
            case TimeoutError():
                what = f"does not answer within {timeout_s:g} s"
            case _:
                what = f"broke off ({error!r})"
        pid = self.recorded_pid()
        fix = f"`kill -9 {pid}` ends it" if pid else "look into its log"
        return ControlError(f"llmproxyd on {self.path} {what}: {fix}")


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection that goes to a Unix socket; `Host` is the name the daemon expects."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__(schema.HOST_NAME, timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
