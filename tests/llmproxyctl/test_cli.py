from __future__ import annotations

import json
import subprocess
import sys

import pytest

from llmproxyctl import cli
from llmproxyctl.client import ControlClient
from llmproxyd.control.schema import SOCKET_ENV, VERSION
from tests.fakes.control_host import STATUS

COMMANDS = ["start", "stop", "reload", "status", "use", "version"]


def test_help_names_every_command_and_gives_examples(ctl):
    done = ctl("--help")
    assert 0 == done.exit_code
    assert [] == [name for name in [*COMMANDS, "examples:", "eval"] if name not in done.out]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(ctl, name):
    done = ctl(name, "--help")
    assert (0, True) == (done.exit_code, f"usage: llmproxyctl {name}" in done.out)
    assert "{prog}" not in done.out


@pytest.mark.parametrize(
    "words", [(), ("fly",), ("use",), ("status", "extra"), ("stop", "--now", "--timeout", "3"),
              ("stop", "--timeout", "soon"), ("stop", "--timeout", "-1"), ("--socket",)]
)  # fmt: skip
def test_a_usage_error_is_2(ctl, words):
    done = ctl(*words)
    assert (2, "") == (done.exit_code, done.out)
    assert done.err.startswith("usage: ")


@pytest.mark.parametrize("program", ["llmproxyctl", "llm-proxy"])
def test_the_program_goes_by_the_name_it_was_called_by(ctl, monkeypatch, program):
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{program}"])
    assert f"{program} {VERSION}\n" == ctl("--version").out
    assert f'eval "$({program} start)"' in ctl("start", "--help").out


def test_arguments_come_from_the_command_line_by_default(monkeypatch, ctl):
    monkeypatch.setattr(sys, "argv", ["llmproxyctl", "--version"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert 0 == end.value.code


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "status"),
        ("status", "--json"),
        ("--socket", "{socket}", "status", "--json"),
        ("--json", "status", "--socket", "{socket}"),
        ("--socket", "/nowhere", "status", "--json", "--socket={socket}"),
    ],
)
def test_common_options_may_stand_on_either_side(ctl, host, socket_path, words):
    done = ctl(*(word.format(socket=socket_path) for word in words))
    assert STATUS.active == json.loads(done.out)["active"]


def test_the_option_beats_the_environment(ctl, host, socket_path, monkeypatch):
    monkeypatch.setenv(SOCKET_ENV, "/nowhere")
    assert 3 == ctl("status").exit_code
    assert 0 == ctl("status", "--socket", str(socket_path)).exit_code


def test_a_value_that_looks_like_a_command_is_a_value(ctl, host):
    assert 0 == ctl("use", "stop").exit_code
    assert [("use", "stop")] == host.calls


@pytest.mark.parametrize("words", [("reload",), ("use", "vast")])
def test_what_needs_a_daemon_is_7_without_one(ctl, words):
    done = ctl(*words)
    expected = "llmproxyctl: llmproxyd is not running: `llmproxyctl start` starts it\n"
    assert (7, "", expected) == (done.exit_code, done.out, done.err)


def test_a_runtime_folder_of_somebody_else_is_4(ctl, monkeypatch):
    def refuse(*_):
        raise PermissionError("/tmp/runtime-1 is not a folder of yours")

    monkeypatch.setattr(cli, "choose_socket_path", refuse)
    done = ctl("status")
    assert (4, "llmproxyctl: /tmp/runtime-1 is not a folder of yours\n") == (
        done.exit_code,
        done.err,
    )


def test_an_interrupt_is_130(ctl, monkeypatch):
    def interrupt(_self):
        raise KeyboardInterrupt

    monkeypatch.setattr(ControlClient, "status", interrupt)
    assert 130 == ctl("status").exit_code


def test_a_reader_who_has_seen_enough_is_no_error(home, host):
    command = f"{sys.executable} -m llmproxyctl status; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({command}) | true"], capture_output=True, text=True, check=True
    )
    assert "0\n" == done.stderr


HEAVY = {"aiohttp", "asyncio", "msgspec", "structlog", "platformdirs", "psutil", "subprocess"}


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["use", "vast"], ["reload"]])
def test_a_quick_command_imports_nothing_heavy(home, host, words):
    code = "import sys; from llmproxyctl.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    ).stdout
    loaded = set(out.splitlines()[-1].split())
    assert set() == loaded & HEAVY
    expected = {"llmproxyd", "llmproxyd.control", "llmproxyd.control.schema", "llmproxyd.errors"}
    assert expected == {name for name in loaded if name.partition(".")[0] == "llmproxyd"}


def test_the_module_can_be_run(shell):
    assert f"llmproxyctl {VERSION}\n" == shell("--version").out
