from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from llmproxyctl.client import ControlClient
from llmproxyctl.commands import stop as stop_module


def test_a_stopped_daemon_is_gone_when_stop_returns(ctl, daemon, socket_path):
    process = daemon()
    done = ctl("stop")
    assert (0, f"llmproxyd (pid {process.pid}) has stopped\n") == (done.exit_code, done.err)
    assert (0, False) == (process.wait(0.5), socket_path.exists())


def test_stopping_nothing_is_a_success(ctl):
    done = ctl("stop")
    assert (0, "", "llmproxyd is not running\n") == (done.exit_code, done.out, done.err)


@pytest.mark.parametrize("is_running", [True, False])
def test_json_is_the_state(ctl, daemon, is_running):
    if is_running:
        daemon()
    done = ctl("stop", "--json")
    assert ({"state": "stopped"}, "") == (json.loads(done.out), done.err)


def test_now_does_not_wait_for_requests(ctl, daemon):
    daemon("stubborn")
    began_s = time.monotonic()
    done = ctl("stop", "--now")
    assert (0, "waiting" in done.err) == (done.exit_code, False)
    assert time.monotonic() - began_s < 10


def test_a_timeout_is_how_long_requests_may_go_on(ctl, daemon):
    daemon("stubborn")
    done = ctl("stop", "--timeout", "0.2")
    assert (0, True) == (done.exit_code, "waiting for 1 request in flight\n" in done.err)


def test_requests_in_flight_may_end(ctl, daemon, socket_path):
    process = daemon("stubborn")

    def end_the_request_once_it_drains():
        while ControlClient(socket_path).status().state != "draining":
            pass
        process.send_signal(signal.SIGHUP)

    ending = threading.Thread(target=end_the_request_once_it_drains)
    ending.start()
    done = ctl("stop")
    ending.join()
    assert (0, True) == (done.exit_code, "waiting for 1 request in flight\n" in done.err)


def test_a_daemon_that_does_not_end_is_1_with_the_way_out(ctl, host, monkeypatch):
    # The scripted host says yes to `stop` and does nothing; its pid is this test's.
    host.answer = replace(host.answer, pid=os.getpid(), drain_timeout_s=0.0)
    monkeypatch.setattr(stop_module, "_MARGIN_S", 0.1)
    done = ctl("stop")
    assert 1 == done.exit_code
    assert f"`kill -9 {os.getpid()}` ends it" in done.err


def test_a_hung_daemon_is_1_with_the_way_out(ctl, daemon):
    process = daemon()
    process.send_signal(signal.SIGSTOP)
    done = ctl("stop")
    assert (1, True) == (done.exit_code, f"`kill -9 {process.pid}` ends it" in done.err)
