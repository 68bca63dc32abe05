from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat

import pytest

from llmproxyd.service import sockets
from llmproxyd.service.lock import instance_lock
from llmproxyd.service.port_owner import port_owner
from llmproxyd.service.ready import StartupError
from llmproxyd.service.sockets import control_listener, private_dir, proxy_listeners

NOBODY = 65534


@contextlib.contextmanager
def _listening(host, port=0):
    listeners = proxy_listeners(host, port)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def _addresses(listeners):
    return [listener.getsockname()[0] for listener in listeners]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("localhost", ["127.0.0.1", "::1"]),
        ("0.0.0.0", ["0.0.0.0"]),
        ("::", ["::"]),
    ],
)
def test_a_host_means_these_addresses(host, expected):
    with _listening(host) as listeners:
        assert expected == _addresses(listeners)


def test_both_loopbacks_have_the_same_port():
    with _listening("localhost") as listeners:
        assert 1 == len({listener.getsockname()[1] for listener in listeners})


def test_a_client_that_comes_before_the_daemon_is_ready_waits():
    with (
        _listening("127.0.0.1") as [listener],
        socket.create_connection(listener.getsockname()) as client,
    ):
        assert client.getpeername() == listener.getsockname()


def test_a_port_just_left_can_be_taken_again():
    with _listening("127.0.0.1") as [listener]:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        listener.setblocking(True)
        served, _ = listener.accept()
        served.close()  # the side that closes first keeps the port in TIME_WAIT
        client.close()
    with _listening("127.0.0.1", port) as [listener]:
        assert port == listener.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_port_in_use_is_one_sentence_that_names_the_process(host):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        name = port_owner("127.0.0.1", port).name
        address = "127.0.0.1" if host == "localhost" else host
        expected = (
            f"port {port} on {address} is in use by {name} (pid {os.getpid()}): "
            "stop it or choose another port with --port N or [server] port"
        )
        with pytest.raises(StartupError) as raised:
            proxy_listeners(host, port)
    assert (expected, 1) == (raised.value.message, raised.value.exit_code)


def test_a_port_in_use_on_the_second_loopback_frees_the_first_again():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartupError, match="on ::1 is in use"):
            proxy_listeners("localhost", port)
        with _listening("127.0.0.1", port) as listeners:
            assert ["127.0.0.1"] == _addresses(listeners)


def test_a_holder_that_the_system_does_not_name_is_another_process(monkeypatch):
    monkeypatch.setattr(sockets, "port_owner", lambda address, port: None)
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(StartupError, match="in use by another process"),
    ):
        proxy_listeners("127.0.0.1", other.getsockname()[1])


class _Choosing(socket.socket):
    """A system that gives out, for port 0 on IPv4, the ports of a list."""

    ports: list[int]

    def bind(self, address):
        host, port = address
        super().bind((host, self.ports.pop(0) if (host, port) == ("127.0.0.1", 0) else port))


def test_a_chosen_port_that_is_taken_on_the_other_loopback_is_chosen_again(monkeypatch):
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(_Choosing, "ports", [taken, taken, 0], raising=False)
        monkeypatch.setattr(socket, "socket", _Choosing)
        with _listening("localhost") as listeners:
            assert taken not in {listener.getsockname()[1] for listener in listeners}


def test_choosing_a_port_ends_some_time(monkeypatch):
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(_Choosing, "ports", [taken] * 100, raising=False)
        monkeypatch.setattr(socket, "socket", _Choosing)
        with pytest.raises(StartupError, match="on ::1 is in use"):
            proxy_listeners("localhost", 0)


class _NoIPv6(socket.socket):
    """A machine whose kernel has no IPv6."""

    def __init__(self, family=-1, *args, **kwargs):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        super().__init__(family, *args, **kwargs)


def test_localhost_does_without_ipv6(monkeypatch):
    monkeypatch.setattr(socket, "socket", _NoIPv6)
    with _listening("localhost") as listeners:
        assert ["127.0.0.1"] == _addresses(listeners)


def test_an_ipv6_address_does_not_do_without_ipv6(monkeypatch):
    monkeypatch.setattr(socket, "socket", _NoIPv6)
    with pytest.raises(StartupError, match="can not listen on ::1 port 0: Address family"):
        proxy_listeners("::1", 0)


class _Privileged(socket.socket):
    """A system where low ports are for root, whoever runs the test."""

    def bind(self, address):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_privileged_port_says_which_are_not(monkeypatch):
    monkeypatch.setattr(socket, "socket", _Privileged)
    with pytest.raises(StartupError, match=r"port 80 on 127\.0\.0\.1 needs privileges"):
        proxy_listeners("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.1", "192.0.2.1 is no address of this machine"),
        ("no-such-host.invalid", "can not resolve host 'no-such-host.invalid'"),
        ("x" * 70, "can not resolve host"),
    ],
)
def test_a_host_that_can_not_be_listened_on_is_one_sentence(host, words):
    with pytest.raises(StartupError, match=words):
        proxy_listeners(host, 0)


@pytest.fixture
def lock(tmp_path):
    with instance_lock(tmp_path / "lock") as lock:
        yield lock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sock"


def test_the_control_socket_is_for_its_owner_only(path, lock):
    before = os.umask(0)
    try:
        with control_listener(path, lock):
            mode = path.stat().st_mode
            assert (True, 0o600) == (stat.S_ISSOCK(mode), stat.S_IMODE(mode))
        after = os.umask(0)
    finally:
        os.umask(before)
    assert 0 == after


def test_the_control_socket_is_gone_after_it(path, lock):
    with control_listener(path, lock):
        pass
    assert not path.exists()


def test_the_control_socket_is_gone_after_an_error(path, lock):
    with pytest.raises(RuntimeError), control_listener(path, lock):
        raise RuntimeError
    assert not path.exists()


def test_a_control_socket_that_is_gone_already_is_fine(path, lock):
    with control_listener(path, lock):
        path.unlink()


def test_a_stale_socket_is_replaced(path, lock):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with control_listener(path, lock), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("make", [lambda path: path.write_text("precious"), os.mkdir, os.mkfifo])
def test_what_is_no_socket_is_left_alone(path, lock, make):
    make(path)
    with pytest.raises(StartupError, match="is not a socket"), control_listener(path, lock):
        pass
    assert path.exists()


def test_a_symlink_in_the_way_is_left_alone(path, lock):
    victim = path.with_name("victim")
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(StartupError, match="is not a socket"), control_listener(path, lock):
        pass
    assert "precious" == victim.read_text()


def test_a_path_too_long_for_an_address_is_one_sentence(path, lock):
    long = path.with_name("x" * 110)
    with pytest.raises(StartupError, match="path too long: see --socket"):
        control_listener(long, lock).__enter__()


def test_a_private_folder_is_made_with_all_its_levels(tmp_path):
    folder = tmp_path / "a" / "b" / "llmproxyd"
    private_dir(folder)
    private_dir(folder)
    modes = [stat.S_IMODE(level.stat().st_mode) for level in (folder, folder.parent)]
    assert [0o700, 0o700] == modes


def test_a_folder_that_others_may_read_is_fine(tmp_path):
    tmp_path.chmod(0o755)
    private_dir(tmp_path)


def _give_away(path):
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)


def _in_a_free_for_all(path):
    path.parent.chmod(0o777)
    path.mkdir()


def _in_a_foreign_folder(path):
    os.chown(path.parent, NOBODY, NOBODY)
    path.mkdir()


def _open_up(path):
    path.mkdir()
    path.chmod(0o770)


def _link(path):
    path.with_name("elsewhere").mkdir()
    path.symlink_to(path.with_name("elsewhere"))


MADE_BY_ANYBODY = [
    (_open_up, "is writable for others"),
    (_link, "is not a folder"),
    (lambda path: path.touch(), "is not a folder"),
    (_in_a_free_for_all, "where others can replace it"),
]
MADE_BY_ROOT = [
    (_give_away, "belongs to uid 65534"),
    (_in_a_foreign_folder, "where others can replace it"),
]


@pytest.mark.parametrize(
    ("make", "words"), MADE_BY_ANYBODY + (MADE_BY_ROOT if os.geteuid() == 0 else [])
)
def test_a_folder_in_other_hands_is_refused(tmp_path, make, words):
    make(tmp_path / "run")
    with pytest.raises(StartupError, match=f"{words}.*--socket"):
        private_dir(tmp_path / "run")


def test_a_folder_in_a_sticky_one_is_fine(tmp_path):
    tmp_path.chmod(0o1777)
    private_dir(tmp_path / "run")


def test_a_folder_that_can_not_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match=r"can not make folder .*: Not a directory"):
        private_dir(tmp_path / "file" / "run")
