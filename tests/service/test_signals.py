from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from llmproxyd.service.signals import signal_handlers

CHILD = """\
import asyncio, sys
from llmproxyd.service.signals import signal_handlers
async def main():
    end = asyncio.Event()
    def say(word):
        print(word, flush=True)
        if word == "now":
            end.set()
    with signal_handlers(
        drain=lambda: say("drain"), stop_now=lambda: say("now"), reload=lambda: say("reload")
    ):
        say("ready")
        await end.wait()
    say("after")
    await asyncio.to_thread(sys.stdin.read)
if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.fixture(params=["asyncio", "uvloop"])
def child(request):
    """A real process with the handlers; says what they were called for."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, request.param],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "ready\n" == process.stdout.readline()
    with process:
        yield process
        process.kill()


def _answers(child, *signals):
    words = []
    for number in signals:
        child.send_signal(number)
        words.append(child.stdout.readline().strip())
    return words


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_first_termination_drains_and_the_second_is_at_once(child, first, second):
    assert ["drain", "now"] == _answers(child, first, second)


def test_every_hangup_reloads(child):
    assert ["reload", "reload"] == _answers(child, signal.SIGHUP, signal.SIGHUP)


def test_a_hangup_between_does_not_count_as_termination(child):
    signals = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    assert ["drain", "reload", "now"] == _answers(child, *signals)


def test_afterwards_signals_can_not_spoil_the_end(child):
    _answers(child, signal.SIGTERM, signal.SIGTERM)
    assert "after\n" == child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGHUP)
    child.stdin.close()
    assert 0 == child.wait(10)


async def test_the_actions_run_in_the_event_loop():
    seen = asyncio.Queue()
    with signal_handlers(
        drain=lambda: seen.put_nowait("drain"),
        stop_now=lambda: seen.put_nowait("now"),
        reload=lambda: seen.put_nowait("reload"),
    ):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.raise_signal(number)
        assert {"drain", "reload", "now"} == {await seen.get() for _ in range(3)}
