from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest

from llmproxyctl.commands import status as status_module
from llmproxyd.control.schema import LastReload, Status, from_json, lock_path
from llmproxyd.errors import Problem
from tests.fakes.control_host import STATUS


def test_a_running_daemon_is_shown_with_all_its_backends(ctl, host):
    done = ctl("status")
    expected = """\
llmproxyd {version} is ready: pid 4321, up 1h 2m, port 8000
base URL        http://localhost:8000
active backend  cerebras, then anthropic
configuration   /home/ana/.config/llmproxyd/config.toml (generation 3)
in flight       2 requests

   BACKEND   TYPE             STATE  REQUESTS  FAILED  MODEL         URL
*  cerebras  cerebras/openai  up     12        1       gpt-oss-120b  https://api.cerebras.ai/v1
   vast      self-hosted      down   0         0       -             http://localhost:8001

vast is down: connection refused
"""
    assert (0, expected.format(version=STATUS.version), "") == (
        done.exit_code,
        done.out,
        done.err,
    )


def test_json_is_the_whole_status(ctl, host):
    assert STATUS == from_json(Status, json.loads(ctl("status", "--json").out))


def test_a_daemon_without_a_file_says_so(ctl, host):
    host.answer = replace(STATUS, config_path="")
    assert "configuration   none, built-in defaults (generation 3)" in ctl("status").out


def test_a_degraded_daemon_says_why(ctl, host):
    host.answer = replace(STATUS, degraded="runs on the last good configuration")
    assert "degraded        runs on the last good configuration\n" in ctl("status").out


def test_a_refused_reload_stays_in_sight(ctl, host, monkeypatch):
    problem = Problem("backend", "no such backend", "say x", "config.toml", 3, 1)
    reload = LastReload(ok=False, when_s=1000.0, problems=(problem,))
    host.answer = replace(STATUS, last_reload=reload)
    monkeypatch.setattr(status_module.time, "time", lambda: 1065.0)
    expected = (
        "the reload 1m 5s ago was refused:\n"
        "  config.toml:3:1: backend: no such backend (say x)\n"
    )  # fmt: skip
    assert expected in ctl("status").out


def test_a_refused_reload_of_unknown_time_has_none(ctl, host):
    host.answer = replace(STATUS, last_reload=LastReload(ok=False))
    assert "the last reload was refused:\n" in ctl("status").out


def test_a_good_reload_is_not_worth_a_line(ctl, host):
    host.answer = replace(STATUS, last_reload=LastReload(when_s=1000.0))
    assert "reload" not in ctl("status").out


def test_another_version_is_pointed_out(ctl, host):
    host.answer = replace(STATUS, version="9.9.9")
    assert "the daemon 9.9.9" in ctl("status").err


def test_foreign_text_can_not_steer_the_terminal(ctl, host):
    bad = replace(STATUS.backends[0], reason="\x1b]0;owned\x07", state="down")
    host.answer = replace(STATUS, backends=(bad,), degraded="\x1b[2J")
    done = ctl("status")
    assert "\x1b" not in done.out
    assert "\\x1b]0;owned\\x07" in done.out


def test_colors_show_the_state_on_a_terminal(ctl, host, monkeypatch):
    monkeypatch.setattr("llmproxyctl.cli.wants_color", lambda stream, env: True)
    assert "\x1b[32mready\x1b[0m" in ctl("status").out


def _never_there(_path, _daemon):
    """Nobody was ever started."""


def _ended_well(path, daemon):
    process = daemon()
    process.terminate()
    process.wait()
    assert lock_path(path).exists()


def _killed(path, daemon):
    process = daemon()
    process.kill()
    process.wait()


def _hung(path, daemon):
    daemon().send_signal(signal.SIGSTOP)


def _just_starting(path, _daemon):
    lock_path(path).write_text(f"{os.getpid()}\n")


@pytest.mark.parametrize(
    ("make", "expected", "words"),
    [
        (_never_there, (3, "stopped"), "llmproxyd is not running"),
        (_ended_well, (3, "stopped"), "llmproxyd is not running"),
        (_killed, (1, "died"), "died without cleaning up"),
        (_hung, (4, "unknown"), "does not answer within 2 s"),
        (_just_starting, (4, "unknown"), "is starting, or hangs"),
    ],
)
def test_an_absent_daemon_has_the_exit_code_of_an_init_script(
    ctl, daemon, socket_path, make, expected, words
):
    make(socket_path, daemon)
    plain = ctl("status")
    assert (expected[0], "", True) == (plain.exit_code, plain.out, words in plain.err)
    asked = ctl("status", "--json")
    answer = json.loads(asked.out)
    assert expected == (asked.exit_code, answer["state"])
    assert (str(socket_path), True) == (answer["socket"], words in answer["reason"])


def test_a_running_daemon_is_0(ctl, daemon):
    process = daemon()
    done = ctl("status")
    assert (0, True) == (done.exit_code, f"pid {process.pid}" in done.out)
