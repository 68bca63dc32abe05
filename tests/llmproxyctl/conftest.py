from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmproxyctl.cli import main
from llmproxyd.control.app import serve_control
from llmproxyd.control.schema import lock_path
from llmproxyd.service.lock import instance_lock
from llmproxyd.service.sockets import control_listener
from tests.fakes.control_host import Events, ScriptedHost

REPOSITORY = Path(__file__).parents[2]
DAEMON = REPOSITORY / "tests" / "fakes" / "daemon"


@dataclass
class Done:
    """How a command ended."""

    exit_code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, whose socket is the one that commands without --socket use."""
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "NO_COLOR", "SCRIPT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LLMPROXYD_SOCKET", str(tmp_path / "run" / "control.sock"))
    monkeypatch.setenv("PYTHONPATH", f"{DAEMON}{os.pathsep}{REPOSITORY}")
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def socket_path(home):
    return home / "run" / "control.sock"


@pytest.fixture
def ctl(home, capsys):
    """Run a command in this process."""

    def run(*words):
        try:
            exit_code = main(words)
        except SystemExit as end:
            exit_code = end.code
        out, err = capsys.readouterr()
        return Done(exit_code, out, err)

    return run


@pytest.fixture
def shell(home):
    """Run a command as a process of its own."""

    def run(*words, **options):
        done = subprocess.run(
            [sys.executable, "-m", "llmproxyctl", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **{"cwd": REPOSITORY} | options,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@contextmanager
def _in_thread(path, host):
    """A real control API on a real socket, beside the test."""
    loop = asyncio.new_event_loop()
    ready, end = threading.Event(), asyncio.Event()

    async def serve():
        with instance_lock(lock_path(path)) as lock, control_listener(path, lock) as listener:
            runner = await serve_control(host, listener, Events())
            ready.set()
            await end.wait()
            await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


@pytest.fixture
def host(socket_path):
    """The script of a daemon that is running."""
    script = ScriptedHost()
    with _in_thread(socket_path, script):
        yield script


@pytest.fixture
def daemon(home, socket_path):
    """Start scripted daemons as processes; they end with the test."""
    started = []

    def start(script="", *words):
        reader, writer = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "llmproxyd", f"--socket={socket_path}",
             f"--ready-fd={writer}", *words],
            env=os.environ | {"SCRIPT": script},
            pass_fds=(writer,),
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writer)
        started.append(process)
        os.read(reader, 1)
        os.close(reader)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.fixture
def ends_daemons(socket_path):
    """End daemons that a test's `start` has left running, by the pid in the lock file."""
    yield
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        os.kill(int(lock_path(socket_path).read_text()), signal.SIGKILL)
