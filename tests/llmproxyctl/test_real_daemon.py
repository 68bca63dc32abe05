"""The client and the real daemon, as a person uses them."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request

import pytest

from llmproxyctl.process import end_of, is_alive
from llmproxyd.service.port_owner import port_owner
from tests.llmproxyctl.conftest import REPOSITORY

pytestmark = pytest.mark.usefixtures("ends_daemons")

GOOD = 'backend = "near"\n[backends.near]\ntype = "anthropic"\nurl = "http://127.0.0.1:9"\n'
FAR = GOOD.replace("near", "far")
BROKEN = 'backend = "near"\nbackends = 7\n'


@pytest.fixture(autouse=True)
def _the_real_one(home, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    for name in ("LLM_BACKEND", "LLM_PROXY_PORT", "LLM_BACKEND_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(home):
    path = home / "config.toml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def start(shell, config):
    return lambda *words: shell("start", "--config", str(config), "--port", "0", *words)


def test_from_start_to_stop(start, shell):
    started = start()
    assert 0 == started.exit_code, started.err
    line = started.out.strip()
    url = line.removeprefix("export ANTHROPIC_BASE_URL=")
    with urllib.request.urlopen(f"{url}/health") as answer:
        assert "near" == json.loads(answer.read())["backend"]
    status = json.loads(shell("status", "--json").out)
    assert ("ready", "near", url) == (status["state"], status["active"], status["base_url"])
    assert line == start().out.strip()
    assert 0 == shell("stop").exit_code
    assert 3 == shell("status").exit_code
    assert not is_alive(status["pid"])


def test_a_broken_configuration_does_not_start_and_leaves_nothing(
    start, shell, config, socket_path
):
    config.write_text(BROKEN)
    done = start()
    assert (6, "") == (done.exit_code, done.out)
    assert f"{config}:2:" in done.err
    assert (3, False) == (shell("status").exit_code, socket_path.exists())


def test_a_broken_configuration_does_not_disturb_a_running_daemon(start, shell, config):
    start()
    config.write_text(BROKEN)
    done = shell("reload")
    assert (6, "", True) == (done.exit_code, done.out, f"{config}:2:" in done.err)
    status = shell("status")
    assert (0, True) == (status.exit_code, "active backend  near\n" in status.out)
    assert "was refused:" in status.out


def test_a_good_configuration_is_taken_over(start, shell, config):
    start()
    config.write_text(FAR)
    done = shell("reload")
    assert (0, True) == (done.exit_code, "generation 2 is in force\n" in done.out), done
    assert "active backend  far\n" in shell("status").out


def test_use_switches_and_knows_the_names(start, shell):
    start()
    assert 0 == shell("use", "anthropic").exit_code
    assert "active backend  anthropic\n" in shell("status").out
    done = shell("use", "anthropik")
    assert (6, True) == (done.exit_code, 'did you mean "anthropic"?' in done.err)


def test_a_port_in_use_is_one_sentence_naming_the_process(shell, config):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        me = port_owner("127.0.0.1", port)
        done = shell("start", "--config", str(config), "--port", str(port))
    expected = (
        f"llmproxyctl: port {port} on 127.0.0.1 is in use by {me.name} (pid {os.getpid()}): "
        "stop it or choose another port with --port N or [server] port\n"
    )
    assert (1, "", expected) == (done.exit_code, done.out, done.err)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_terminated_daemon_leaves_nothing(start, shell, socket_path, number):
    start()
    pid = json.loads(shell("status", "--json").out)["pid"]
    with end_of(pid) as wait:
        os.kill(pid, number)
        assert wait(20)
    assert (3, False) == (shell("status").exit_code, socket_path.exists())


def test_a_killed_daemon_is_no_obstacle_to_the_next(start, shell):
    start()
    pid = json.loads(shell("status", "--json").out)["pid"]
    with end_of(pid) as wait:
        os.kill(pid, signal.SIGKILL)
        assert wait(20)
    assert 1 == shell("status").exit_code
    assert 0 == start().exit_code
    assert 0 == shell("status").exit_code
