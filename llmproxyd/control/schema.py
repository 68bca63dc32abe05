"""The control protocol, version 1: what the daemon and its client both know.

HTTP/1.1 with JSON bodies over a Unix socket. Everything here is imported by each start of the
client, which must be light (architecture, law 7): standard library only.

A reply may gain fields within a version, so readers ignore unknown fields and give missing ones
their default; a field never changes its meaning. Errors are `application/problem+json`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from llmproxyd import __version__
from llmproxyd.errors import Problem

VERSION: Final = __version__
API_VERSION: Final = 1

HOST_NAME: Final = "llmproxyd"
VERSION_HEADER: Final = "LLMProxy-Version"
API_HEADER: Final = "LLMProxy-API"
JSON_TYPE: Final = "application/json"
PROBLEM_TYPE: Final = "application/problem+json"
MAX_BODY_BYTES: Final = 1024 * 1024

VERSION_PATH: Final = "/v1/version"
STATUS_PATH: Final = "/v1/status"
RELOAD_PATH: Final = "/v1/reload"
USE_PATH: Final = "/v1/use"
STOP_PATH: Final = "/v1/stop"

# Exit codes of the Linux Standard Base, "Init Script Actions": of an action ...
EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_ALLOWED: Final = 4
EXIT_NOT_CONFIGURED: Final = 6
EXIT_NOT_RUNNING: Final = 7
# ... and of `status`. Its code 2 (dead, lock file left) does not occur: lock and pid are one file.
STATUS_RUNNING: Final = 0
STATUS_DIED: Final = 1
STATUS_STOPPED: Final = 3
STATUS_UNKNOWN: Final = 4

SOCKET_ENV: Final = "LLMPROXYD_SOCKET"
_APP: Final = "llmproxyd"
_PRIVATE_MODE: Final = 0o700

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendStatus:
    """One backend entry as it stands.

    Attributes:
        kind: the provider, e.g. `"cerebras"`.
        protocol: what it speaks, `"anthropic"` or `"openai"`; empty while not yet known.
        state: one word for a person, e.g. `"up"`, `"down"`, `"unknown"`.
        reason: why it is in that state; may be empty.
    """

    name: str = ""
    kind: str = ""
    url: str = ""
    protocol: str = ""
    model: str = ""
    state: str = "unknown"
    reason: str = ""
    requests: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReload:
    """How the latest reload ended. `when_s` is Unix time; 0 when it is not known."""

    ok: bool = True
    when_s: float = 0.0
    problems: tuple[Problem, ...] = field(default=(), metadata={"of": Problem})


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The answer to `GET /v1/status`, and what a daemon says when it has become ready.

    Attributes:
        state: `"starting"`, `"ready"` or `"draining"`.
        generation: counts the configurations that were in force; 1 is the first.
        base_url: what goes into ANTHROPIC_BASE_URL.
        config_path: the file in force; empty when there is none.
        active: name of the active backend; `fallback` are those tried after it.
        in_flight: requests being served now.
        degraded: why the daemon does not do all that it was asked to; empty when it does.
        drain_timeout_s: how long `stop` lets requests in flight go on.
    """

    state: str = "ready"
    pid: int = 0
    version: str = VERSION
    uptime_s: float = 0.0
    generation: int = 0
    host: str = ""
    port: int = 0
    base_url: str = ""
    socket: str = ""
    config_path: str = ""
    active: str = ""
    fallback: tuple[str, ...] = ()
    in_flight: int = 0
    degraded: str = ""
    drain_timeout_s: float = 0.0
    last_reload: LastReload | None = field(default=None, metadata={"of": LastReload})
    backends: tuple[BackendStatus, ...] = field(default=(), metadata={"of": BackendStatus})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadReply:
    """What became of a reload or a `use`.

    Attributes:
        ok: the new configuration is in force; when False the old one still is.
        generation: the one in force now.
        changed: what differs from before, as key paths or short sentences.
        needs_restart: key paths that changed but can not change in a running daemon.
        problems: why it was refused; empty when `ok`.
    """

    ok: bool = True
    generation: int = 0
    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = field(default=(), metadata={"of": Problem})


@dataclass(frozen=True, slots=True, kw_only=True)
class UseRequest:
    """The body of `POST /v1/use`: the name of the backend to make active."""

    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """The body of `POST /v1/stop`: seconds for requests in flight; None leaves it to the daemon."""

    grace_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionReply:
    """The answer to `GET /v1/version`."""

    version: str = VERSION
    api: int = API_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """A problem+json body (RFC 9457) with our list of configuration problems."""

    title: str = ""
    status: int = 0
    detail: str = ""
    problems: tuple[Problem, ...] = field(default=(), metadata={"of": Problem})


def to_json(value: Any) -> dict[str, Any]:
    """One of the types above as an object that `json` can write."""
    return asdict(value)


def from_json(kind: type[T], data: object) -> T:
    """An object read by `json` as one of the types above.

    Raises:
        TypeError: `data` is no object, or lacks a field that has no default.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"{kind.__name__}: expected an object, got {type(data).__name__}")
    known = {
        spec.name: _converted(spec.metadata.get("of"), data[spec.name])
        for spec in fields(kind)  # type: ignore[arg-type]  # every kind here is a dataclass
        if spec.name in data
    }
    return kind(**known)


def _converted(kind: type[Any] | None, value: object) -> object:
    if isinstance(value, list):
        return tuple(_converted(kind, item) for item in value)
    return value if kind is None or value is None else from_json(kind, value)


def base_url(host: str, port: int) -> str:
    """What a client on this machine puts into ANTHROPIC_BASE_URL."""
    if host in {"127.0.0.1", "localhost", "::1", "", "0.0.0.0", "::"}:  # noqa: S104  # compared
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def choose_socket_path(
    option: str | None, env: Mapping[str, str], platform: str, uid: int, home: Path
) -> Path:
    """The control socket: `--socket`, else LLMPROXYD_SOCKET, else the default; always absolute.

    Raises:
        PermissionError: as `default_socket_path`.
    """
    if chosen := option or env.get(SOCKET_ENV):
        return Path(chosen).expanduser().absolute()
    return default_socket_path(env, platform, uid, home)


def default_socket_path(env: Mapping[str, str], platform: str, uid: int, home: Path) -> Path:
    """`control.sock` in the user's runtime folder, where platformdirs >= 4.14 has it.

    Written out because platformdirs costs the client as much as all its other imports. A path
    too long for a socket address gives way to a short one in /tmp.

    Raises:
        PermissionError: the only folder left is one that somebody else made.
    """
    path = _runtime_dir(env, platform, uid, home) / _APP / "control.sock"
    if socket_path_problem(path, platform):
        return Path(f"/tmp/{_APP}-{uid}/control.sock")  # noqa: S108  # owner checked before use
    return path


def _runtime_dir(env: Mapping[str, str], platform: str, uid: int, home: Path) -> Path:
    asked = Path(env.get("XDG_RUNTIME_DIR", ""))
    if asked.is_absolute() and _is_private(asked, uid, is_missing_fine=True):
        return asked
    if platform == "darwin":
        return home / "Library" / "Caches" / "TemporaryItems"
    usual = Path(f"/run/user/{uid}")
    if _is_private(usual, uid, is_missing_fine=False):
        return usual
    last = _temporary_dir(env) / f"runtime-{uid}"
    try:
        found = last.lstat()
    except FileNotFoundError:
        return last
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise PermissionError(f"{last} is not a folder of yours: set XDG_RUNTIME_DIR instead")
    return last


def _is_private(path: Path, uid: int, *, is_missing_fine: bool) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return is_missing_fine
    except OSError:
        return False
    mode = stat.S_IMODE(found.st_mode) & 0o777
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and mode == _PRIVATE_MODE


def _temporary_dir(env: Mapping[str, str]) -> Path:
    for name in ("TMPDIR", "TEMP", "TMP"):
        if (value := env.get(name)) and os.access(value, os.W_OK | os.X_OK):
            return Path(value).absolute()
    return Path("/tmp")  # noqa: S108  # the folder in it is checked


def socket_path_problem(path: Path, platform: str) -> str | None:
    """Why `path` can not be a socket address: `sun_path` holds so many bytes; None when it can."""
    limit = 103 if platform == "darwin" else 107
    size = len(os.fsencode(path))
    if size <= limit:
        return None
    return f"socket path {path} has {size} bytes, {limit} is the limit: choose a shorter --socket"


def lock_path(socket_path: Path) -> Path:
    """The lock file of the daemon that owns `socket_path`; holds its pid, for information."""
    return socket_path.with_name(socket_path.name + ".lock")


def default_log_path(env: Mapping[str, str], platform: str, home: Path) -> Path:
    """The log file of a daemon in the background, in the folder that platformdirs names."""
    if platform == "darwin":
        return home / "Library" / "Logs" / _APP / f"{_APP}.log"
    state = Path(env.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = home / ".local" / "state"
    return state / _APP / "log" / f"{_APP}.log"
