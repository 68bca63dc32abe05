"""Who is at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass
from typing import Final, Protocol

# struct ucred of unix(7): pid, uid, gid.
_UCRED: Final = struct.Struct("iII")
# struct xucred of <sys/ucred.h>: version, uid, group count, padding, 16 groups.
_XUCRED: Final = struct.Struct("IIh2x16I")
# <sys/un.h> of macOS; the socket module has no names for these.
_SOL_LOCAL: Final = 0
_LOCAL_PEERCRED: Final = 1
_LOCAL_PEERPID: Final = 2


class _HasOptions(Protocol):
    def getsockopt(self, level: int, option: int, buflen: int, /) -> bytes:
        """As `socket.socket.getsockopt`; asyncio and uvloop give their own kind of socket."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, at the moment it did."""

    pid: int
    uid: int


def peer_of(sock: _HasOptions) -> Peer:
    """The peer of a connected Unix socket. Raises OSError when the kernel does not tell."""
    if sys.platform == "darwin":
        credentials = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
        pid = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID, struct.calcsize("i"))
        return macos_peer(credentials, pid)
    return linux_peer(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))


def linux_peer(credentials: bytes) -> Peer:
    """Read a `struct ucred`."""
    pid, uid, _gid = _UCRED.unpack(credentials)
    return Peer(pid=pid, uid=uid)


def macos_peer(credentials: bytes, pid: bytes) -> Peer:
    """Read a `struct xucred`, which may be shorter than its maximum, and a pid."""
    _version, uid, *_groups = _XUCRED.unpack(credentials.ljust(_XUCRED.size, b"\0"))
    return Peer(pid=struct.unpack("i", pid)[0], uid=uid)
