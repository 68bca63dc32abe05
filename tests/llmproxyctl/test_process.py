from __future__ import annotations

import os
import subprocess
import sys

import pytest

from llmproxyctl.process import end_of, is_alive


@pytest.fixture(params=["pidfd", "probe"])
def way(request, monkeypatch):
    """How the end is watched: by the kernel's pidfd, or as on systems without it."""

    def unknown(pid):
        raise OSError(38, "Function not implemented")

    if request.param == "probe":
        monkeypatch.setattr(os, "pidfd_open", unknown)
    return request.param


@pytest.fixture
def sleeper():
    """A real process that ends when told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    yield process
    process.communicate()


def test_the_end_of_a_process_is_seen(way, sleeper):
    with end_of(sleeper.pid) as wait:
        assert not wait(0.01)
        sleeper.stdin.write(b"\n")
        sleeper.stdin.flush()
        if way == "probe":
            sleeper.wait()
        assert wait(10)


def test_an_unreaped_process_counts_as_ended(sleeper):
    sleeper.kill()
    with end_of(sleeper.pid) as wait:
        assert wait(10)


def test_a_process_that_is_gone_already_has_ended(way, sleeper):
    sleeper.kill()
    sleeper.wait()
    with end_of(sleeper.pid) as wait:
        assert wait(0)


def test_our_own_process_is_alive(way):
    assert is_alive(os.getpid())


def test_a_process_of_another_user_is_alive(way, monkeypatch):
    def foreign(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", foreign)
    assert is_alive(1)


def test_a_dead_process_is_not_alive(way, sleeper):
    sleeper.kill()
    sleeper.wait()
    assert not is_alive(sleeper.pid)


def test_a_process_that_nobody_has_reaped_is_not_alive(sleeper):
    sleeper.kill()
    with end_of(sleeper.pid) as wait:
        assert wait(10)
    assert not is_alive(sleeper.pid)


def test_other_systems_are_probed(monkeypatch, sleeper):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert is_alive(sleeper.pid)
