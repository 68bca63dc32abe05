"""The listening sockets: the proxy port and the control socket.

They listen from the moment they exist, so a client that comes before the daemon is ready waits
instead of being refused.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from llmproxyd.service.lock import InstanceLock
from llmproxyd.service.port_owner import port_owner
from llmproxyd.service.ready import StartupError

# Connections that the kernel holds while the event loop is busy; it caps this at its own limit.
_BACKLOG: Final = 1024
_LOOPBACKS: Final = ("127.0.0.1", "::1")
# How often the system may choose a port that is free on the first address only.
_PORT_TRIES: Final = 20
_NO_IPV6: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
_PRIVATE_DIR: Final = 0o700
_PRIVATE_UMASK: Final = 0o177
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_ROOT_UID: Final = 0


class PortTaken(StartupError):
    """Somebody else listens there."""


def proxy_listeners(host: str, port: int) -> list[socket.socket]:
    """Listen on `host`:`port`; `localhost` means both loopback addresses. The caller closes.

    With port 0 the system chooses one that is free on every address of the host.

    Raises:
        StartupError: one sentence; for a port in use it names the process that holds it.
    """
    addresses = _LOOPBACKS if host == "localhost" else _resolved(host)
    tries = _PORT_TRIES if port == 0 else 1
    while True:
        tries -= 1
        try:
            return _listen_on_all(addresses, port)
        except PortTaken:
            if not tries:
                raise


def _resolved(host: str) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise StartupError(
            f"can not resolve host {host!r} ({error}): use an IP address in --host or [server] host"
        ) from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _listen_on_all(addresses: Sequence[str], port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    with ExitStack() as undo:
        for address in addresses:
            try:
                listener = _listening(address, port)
            except OSError as error:
                if listeners and error.errno in _NO_IPV6:
                    continue  # a machine without IPv6
                raise _explained(error, address, port) from None
            undo.callback(listener.close)
            listeners.append(listener)
            port = listener.getsockname()[1]
        undo.pop_all()
    return listeners


def _listening(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Without it a restart would wait for the last connections to leave TIME_WAIT.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  # the parameter has no keyword
    except BaseException:
        listener.close()
        raise
    return listener


def _explained(error: OSError, address: str, port: int) -> StartupError:
    if error.errno == errno.EADDRINUSE:
        owner = port_owner(address, port)
        holder = f"{owner.name} (pid {owner.pid})" if owner else "another process"
        return PortTaken(
            f"port {port} on {address} is in use by {holder}: "
            "stop it or choose another port with --port N or [server] port"
        )
    if error.errno == errno.EACCES:
        return StartupError(f"port {port} on {address} needs privileges: choose one above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return StartupError(f"{address} is no address of this machine: see --host, [server] host")
    return StartupError(f"can not listen on {address} port {port}: {error.strerror or error}")


@contextmanager
def control_listener(path: Path, lock: InstanceLock) -> Iterator[socket.socket]:
    """Listen on the Unix socket `path`, mode 0600; removed at the end.

    A socket file that is already there is stale, since `lock` shows that its owner is gone.
    `private_dir` has prepared the folder.

    Raises:
        StartupError: another kind of file is in the way, or the path is too long.
    """
    del lock  # being able to name it is the point
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener:
        before = os.umask(_PRIVATE_UMASK)
        try:
            listener.bind(str(path))
        except OSError as error:
            reason = error.strerror or str(error)
            raise StartupError(f"can not listen on {path}: {reason}: see --socket") from None
        finally:
            os.umask(before)
        try:
            path.chmod(0o600)
            listener.listen(_BACKLOG)
            listener.setblocking(False)  # noqa: FBT003  # the parameter has no keyword
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StartupError(f"{path} is not a socket: remove it, or choose another --socket")
        path.unlink()


def private_dir(path: Path) -> None:
    """Make sure that `path` is a folder that only we can change things in.

    Missing levels are made with mode 0700. Comes before the lock file and the control socket.

    Raises:
        StartupError: it, or the folder it is in, is in somebody else's hands.
    """
    try:
        for folder in reversed([path, *path.parents]):
            with suppress(FileExistsError):
                folder.mkdir(mode=_PRIVATE_DIR)
        found, above = path.lstat(), path.parent.stat()
    except OSError as error:
        raise StartupError(f"can not make folder {path}: {error.strerror}") from None
    checks = (
        (not stat.S_ISDIR(found.st_mode), "is not a folder (or is a symbolic link)"),
        (found.st_uid != os.geteuid(), f"belongs to uid {found.st_uid}"),
        (bool(found.st_mode & _OTHERS_WRITE), "is writable for others: chmod go-w it"),
        (_is_foreign(above), f"is in {path.parent}, where others can replace it"),
    )
    for is_wrong, what in checks:
        if is_wrong:
            raise StartupError(f"{path} {what}; or choose a --socket elsewhere")


def _is_foreign(folder: os.stat_result) -> bool:
    if folder.st_mode & stat.S_ISVTX:
        return False
    is_ours = folder.st_uid in {os.geteuid(), _ROOT_UID}
    return not is_ours or bool(folder.st_mode & stat.S_IWOTH)
