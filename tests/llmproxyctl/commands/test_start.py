from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from llmproxyctl.commands import start as start_module
from llmproxyd.control.schema import lock_path
from llmproxyd.service.lock import instance_lock

pytestmark = pytest.mark.usefixtures("ends_daemons")


@pytest.fixture
def log(home):
    return home / ".local" / "state" / "llmproxyd" / "log" / "llmproxyd.log"


def test_a_started_daemon_answers_and_the_line_for_the_shell_is_all_of_stdout(ctl):
    done = ctl("start")
    assert (0, "export ANTHROPIC_BASE_URL=http://localhost:8000\n") == (done.exit_code, done.out)
    assert 0 == ctl("status").exit_code


def test_the_person_is_told_what_runs_and_where_its_log_is(ctl, log, socket_path):
    err = ctl("start").err
    pid = int(lock_path(socket_path).read_text())
    assert f"is running on http://localhost:8000 (pid {pid}, backend cerebras)" in err
    assert f"log: {log}\n" in err


def test_options_are_passed_on(ctl, home, monkeypatch):
    monkeypatch.chdir(home)
    ctl("start", "--config", "my.toml", "--host", "192.0.2.7", "--port", "9000")
    status = json.loads(ctl("status", "--json").out)
    expected = ("http://192.0.2.7:9000", str(home / "my.toml"))
    assert expected == (status["base_url"], status["config_path"])


def test_json_is_the_status(ctl):
    assert "ready" == json.loads(ctl("start", "--json").out)["state"]


def test_the_daemon_is_detached(ctl, log, monkeypatch, home):
    monkeypatch.chdir(home)
    leaked = os.open(home, os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        ctl("start")
    finally:
        os.close(leaked)
    text = log.read_text()
    assert "cwd / session True" in text
    # 0, 1, 2, the pipe, and the folder listing itself.
    assert 5 == len(re.search(r"fds \[(.*)\]", text)[1].split(", "))


def test_the_log_is_private_and_appended_to(ctl, log):
    ctl("start")
    ctl("stop")
    ctl("start")
    assert 2 == log.read_text().count("cwd /")
    modes = [path.stat().st_mode & 0o777 for path in (log, log.parent, log.parent.parent)]
    assert [0o600, 0o700, 0o700] == modes


def test_a_log_that_can_not_be_written_is_one_sentence(ctl, log):
    log.parent.parent.mkdir(parents=True)
    log.parent.touch()
    done = ctl("start")
    assert (1, True) == (done.exit_code, f"can not write the log {log}" in done.err)


def test_a_symlink_in_place_of_the_log_is_not_followed(ctl, log, home):
    log.parent.mkdir(parents=True)
    (home / "victim").write_text("precious")
    log.symlink_to(home / "victim")
    assert 1 == ctl("start").exit_code
    assert "precious" == (home / "victim").read_text()


@pytest.mark.parametrize(
    ("options", "expected"), [((), False), (("--port", "9000"), True), (("--config", "x"), True)]
)
def test_options_for_a_daemon_that_runs_already_are_said_to_be_in_vain(
    ctl, daemon, options, expected
):
    daemon()
    assert expected == ("note: options of a running daemon" in ctl("start", *options).err)


def test_a_daemon_that_runs_already_is_left_alone(ctl, daemon):
    process = daemon()
    done = ctl("start", "--port", "9999")
    assert (0, "export ANTHROPIC_BASE_URL=http://localhost:8000\n") == (done.exit_code, done.out)
    assert f"is already running on http://localhost:8000 (pid {process.pid}" in done.err


def test_a_daemon_that_hangs_is_not_started_a_second_time(ctl, daemon):
    daemon().send_signal(signal.SIGSTOP)
    done = ctl("start")
    assert (1, "") == (done.exit_code, done.out)
    assert "does not answer" in done.err


def test_a_bad_configuration_is_told_here_with_its_exit_code(ctl, monkeypatch):
    monkeypatch.setenv("SCRIPT", "config")
    done = ctl("start")
    expected = "llmproxyctl: config.toml:3:1: backend: no such backend (say x)\n"
    assert (6, "", expected) == (done.exit_code, done.out, done.err)


def test_a_crash_is_told_with_the_end_of_the_log(ctl, monkeypatch, log):
    monkeypatch.setenv("SCRIPT", "crash")
    done = ctl("start")
    assert 3 == done.exit_code
    assert f"ended before it was ready (exit code 3), its log is {log}" in done.err
    assert "  Traceback: \\x1b[2Jit broke\n" in done.err


def test_a_death_by_signal_is_1(ctl, monkeypatch):
    monkeypatch.setenv("SCRIPT", "signal")
    done = ctl("start")
    assert (1, True) == (done.exit_code, "(signal 9)" in done.err)


def test_a_daemon_that_never_gets_ready_is_ended(ctl, monkeypatch, log):
    monkeypatch.setenv("SCRIPT", "mute")
    monkeypatch.setattr(start_module, "_READY_WITHIN_S", 1.5)
    monkeypatch.setattr(start_module, "_END_WITHIN_S", 0.1)
    done = ctl("start")
    assert (1, True) == (done.exit_code, "was not ready after 1.5 s" in done.err)
    assert 3 == ctl("status").exit_code


def test_half_a_word_is_no_word(ctl, monkeypatch, home):
    script = home / "half.py"
    script.write_text("import os, sys\nos.write(int(sys.argv[-1].split('=')[1]), b'{\"ok\": tr')\n")
    monkeypatch.setattr(
        start_module, "_command", lambda args, path: [sys.executable, str(script)]
    )  # fmt: skip
    done = ctl("start")
    assert (1, True) == (done.exit_code, "ended before it was ready (exit code 0)" in done.err)


def test_a_repositorys_modules_are_not_run(shell, home):
    # `python -m` would put the working directory first; a repository may be hostile.
    (home / "json.py").write_text("raise SystemExit('owned')")
    (home / "llmproxyd.py").write_text("raise SystemExit('owned')")
    code = "import sys; from llmproxyctl.cli import main; sys.exit(main(['start']))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=home, capture_output=True, text=True, check=False
    )
    assert (0, False) == (done.returncode, "owned" in done.stderr)


def test_eight_starts_at_once_give_one_daemon(home, socket_path):
    command = [sys.executable, "-m", "llmproxyctl", "start"]
    starts = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    ended = [(start.communicate(timeout=100), start.returncode) for start in starts]
    line = "export ANTHROPIC_BASE_URL=http://localhost:8000\n"
    assert [(line, 0)] * 8 == [(out, code) for (out, _), code in ended], ended
    pid = int(lock_path(socket_path).read_text())
    assert [True] * 8 == [f"(pid {pid}," in err for (_, err), _ in ended]


def test_a_rival_that_holds_the_lock_and_never_answers_is_named(ctl, socket_path, monkeypatch):
    monkeypatch.setattr(start_module, "_RIVAL_S", 0.1)
    with instance_lock(lock_path(socket_path)):
        done = ctl("start")
    assert (1, "") == (done.exit_code, done.out)
    assert f"llmproxyd is already running (pid {os.getpid()})" in done.err


def test_dots_show_a_person_that_we_wait(home, monkeypatch):
    monkeypatch.setenv("SCRIPT", "slow")
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "llmproxyctl", "start"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
    )
    os.close(theirs)
    seen = os.read(ours, 65536).decode()
    os.close(ours)
    assert (0, True) == (done.returncode, re.match(r"\.+\r\n", seen) is not None)


def test_there_are_no_dots_in_a_file(ctl, monkeypatch):
    monkeypatch.setenv("SCRIPT", "slow")
    assert not ctl("start").err.startswith(".")


def test_an_interrupted_start_leaves_no_daemon_behind(ctl, monkeypatch):
    def interrupt(_reader, _console):
        raise KeyboardInterrupt

    monkeypatch.setattr(start_module, "_await_line", interrupt)
    assert 130 == ctl("start").exit_code
    assert 3 == ctl("status").exit_code
