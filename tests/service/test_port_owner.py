from __future__ import annotations

import os
import socket
import subprocess
import sys

import psutil
import pytest

from llmproxyd.service.port_owner import PortOwner, port_owner

LISTENER = """\
import socket, sys
with socket.create_server((sys.argv[1], 0)) as s:
    print(s.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def listener(request):
    """A port and the real process that listens on it."""
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER, request.param],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield int(process.stdout.readline()), process.pid
    process.communicate()


def test_the_process_that_listens_is_named(listener):
    port, pid = listener
    assert PortOwner(psutil.Process(pid).name(), pid) == port_owner("127.0.0.1", port)


def test_an_ordinary_user_of_macos_sees_its_own_processes(listener, monkeypatch):
    # There the system-wide list is closed to all but root (daemon spec, section 3.2).
    def closed(kind):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", closed)
    port, pid = listener
    assert pid == port_owner("127.0.0.1", port).pid


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        ("nginx", ["nginx", "-g", "x"], "nginx"),
        ("python3", ["python3", "-P", "-m", "llmproxyd", "--socket=/s"], "llmproxyd"),
        ("python3.11", ["python3", "/opt/bin/litellm", "--key", "k"], "litellm"),
        ("python3", ["python3", "-c", "secret"], "python3"),
        ("python3", ["python3"], "python3"),
        ("python3", ["python3", "-m"], "python3"),
    ],
)
def test_a_python_program_goes_by_its_own_name(monkeypatch, name, command, expected):
    monkeypatch.setattr(psutil.Process, "name", lambda process: name)
    monkeypatch.setattr(psutil.Process, "cmdline", lambda process: command)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert expected == port_owner("127.0.0.1", listener.getsockname()[1]).name


def test_a_free_port_has_no_owner():
    with socket.create_server(("127.0.0.1", 0)) as freed:
        port = freed.getsockname()[1]
    assert port_owner("127.0.0.1", port) is None


def test_a_listener_on_another_address_is_not_the_owner():
    with socket.create_server(("127.0.0.2", 0)) as other:
        assert port_owner("127.0.0.1", other.getsockname()[1]) is None


def test_a_wildcard_wants_every_address():
    with socket.create_server(("127.0.0.2", 0)) as other:
        assert os.getpid() == port_owner("0.0.0.0", other.getsockname()[1]).pid


def test_a_process_that_is_gone_by_now_is_nobody(listener, monkeypatch):
    def gone(pid):
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr(psutil, "Process", gone)
    assert port_owner("127.0.0.1", listener[0]) is None


def test_processes_that_can_not_be_looked_into_are_passed_over(listener, monkeypatch):
    def closed(*_args, **_kwargs):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", closed)
    monkeypatch.setattr(psutil.Process, "net_connections", closed)
    assert port_owner("127.0.0.1", listener[0]) is None
