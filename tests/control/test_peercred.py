from __future__ import annotations

import os
import socket
import struct
import sys
from typing import ClassVar

from llmproxyd.control.peercred import Peer, linux_peer, macos_peer, peer_of


def test_the_kernel_names_the_process_at_the_other_end():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert Peer(pid=os.getpid(), uid=os.geteuid()) == peer_of(ours)


def test_a_linux_structure_is_read():
    assert Peer(pid=12, uid=4294967294) == linux_peer(struct.pack("iII", 12, 4294967294, 5))


def test_a_macos_structure_is_read():
    # xucred: version 0, uid 501, 3 groups, padding, then the groups.
    raw = bytes.fromhex("00000000 f5010000 0300 0000 14000000 50000000 0c000000")
    assert Peer(pid=77, uid=501) == macos_peer(raw, struct.pack("i", 77))


class RecordedSocket:
    """The options of a connected socket on macOS."""

    options: ClassVar = {
        (0, 1): bytes.fromhex("00000000 f5010000 0100 0000 14000000"),
        (0, 2): struct.pack("i", 77),
    }

    def getsockopt(self, level, option, buflen):
        return self.options[level, option][:buflen]


def test_macos_is_asked_in_its_own_way(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert Peer(pid=77, uid=501) == peer_of(RecordedSocket())
