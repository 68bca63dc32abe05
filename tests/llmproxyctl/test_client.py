from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import contextmanager

import pytest

from llmproxyctl.client import ControlClient, ControlError, NotRunning, Refused
from llmproxyd.control.schema import ReloadReply, VersionReply, lock_path
from llmproxyd.errors import Problem
from tests.fakes.control_host import STATUS

PROBLEM = Problem("backend", "no such backend", "say x", "config.toml", 3, 1)


@pytest.fixture
def client(socket_path):
    return ControlClient(socket_path)


def test_the_daemon_tells_its_status(host, client):
    assert STATUS == client.status()


def test_the_daemon_tells_its_version(host, client):
    assert VersionReply() == client.version()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda client: client.reload(), ("reload",)),
        (lambda client: client.use("vast"), ("use", "vast")),
        (lambda client: client.stop(None), ("stop", None)),
        (lambda client: client.stop(1.5), ("stop", 1.5)),
    ],
)
def test_a_call_reaches_the_daemon(host, client, call, expected):
    call(client)
    assert [expected] == host.calls


def test_a_refusal_has_every_problem_and_says_not_configured(host, client):
    host.reply = ReloadReply(ok=False, problems=(PROBLEM, PROBLEM))
    with pytest.raises(Refused) as raised:
        client.reload()
    expected = "  config.toml:3:1: backend: no such backend (say x)"
    assert [expected, expected] == raised.value.message.splitlines()[1:]
    assert (6, (PROBLEM, PROBLEM)) == (raised.value.exit_code, raised.value.reply.problems)


def _nothing(_path):
    """No daemon was ever here."""


def _stale(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


def _no_folder(path):
    path.parent.rmdir()


def _no_folder_at_all(path):
    path.parent.rmdir()
    path.parent.touch()


@pytest.mark.parametrize("make", [_nothing, _stale, _no_folder, _no_folder_at_all])
def test_nobody_there_is_not_running(client, socket_path, make):
    make(socket_path)
    with pytest.raises(NotRunning, match="`llmproxyctl start`") as raised:
        client.status()
    assert 7 == raised.value.exit_code


def test_a_daemon_that_is_just_starting_is_waited_for(client, daemon):
    starting = threading.Timer(0.2, daemon)
    starting.start()
    assert "ready" == client.status(patience_s=30).state
    starting.join()


def test_waiting_for_a_start_has_an_end(client):
    with pytest.raises(NotRunning):
        client.status(patience_s=0.1)


def test_a_hung_daemon_is_given_two_seconds(client, daemon):
    process = daemon()
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(ControlError, match="does not answer within 2 s") as raised:
        client.status()
    assert f"`kill -9 {process.pid}` ends it" in raised.value.message
    assert 1 == raised.value.exit_code


@contextmanager
def _answering(path, answer):
    """Something that is no daemon: sends these bytes to whoever connects, once."""

    def serve():
        with listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def _http(body, status=200):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "broke off"),
        (b"220 mail.test ESMTP\r\n", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "broke off"),
        (_http(b"<html>"), "not llmproxyd's"),
        (_http(b"\xff"), "not llmproxyd's"),
        (_http(b"[]"), "not llmproxyd's"),
        (_http(b'{"backends": 7}'), "not llmproxyd's"),
        (_http(b"[]", 500), "not llmproxyd's"),
    ],
)
def test_what_is_no_daemon_is_told_so(client, socket_path, answer, words):
    with _answering(socket_path, answer), pytest.raises(ControlError, match=words):
        client.status()


@pytest.mark.parametrize(("status", "exit_code"), [(403, 4), (422, 6), (400, 1), (500, 1)])
def test_a_refusal_has_the_exit_code_of_its_kind(client, socket_path, status, exit_code):
    body = b'{"title": "No", "status": %d}' % status
    with _answering(socket_path, _http(body, status)), pytest.raises(Refused, match="No") as raised:
        client.status()
    assert exit_code == raised.value.exit_code


def test_a_socket_of_somebody_else_is_not_talked_to(client, host, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    owner = client.path.stat().st_uid
    if owner == 0:  # root is trusted by all
        os.chown(client.path, 999, 999)
    with pytest.raises(ControlError, match=r"you may not use .*it belongs to uid") as raised:
        client.status()
    assert 4 == raised.value.exit_code


def test_a_socket_that_may_not_be_opened_is_told_so(client, host, monkeypatch):
    def closed(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", closed)
    with pytest.raises(ControlError, match=r"\(Permission denied\)") as raised:
        client.status()
    assert 4 == raised.value.exit_code


@pytest.mark.parametrize(
    ("content", "expected"), [("123\n", 123), ("", None), ("abc", None), ("é", None)]
)
def test_the_lock_file_tells_the_pid(client, content, expected):
    lock_path(client.path).write_text(content)
    assert expected == client.recorded_pid()


def test_without_a_lock_file_there_is_no_pid(client):
    assert client.recorded_pid() is None
