"""`llmproxyctl stop`: drain, stop, and wait until the daemon is gone."""

from __future__ import annotations

import argparse
from typing import Final

from llmproxyctl.client import ControlClient, ControlError, NotRunning
from llmproxyctl.process import end_of
from llmproxyctl.render import Console, counted
from llmproxyd.control.schema import EXIT_OK

# What a daemon may need after its last request: closing connections, writing state.
_MARGIN_S: Final = 10.0

EPILOG = """\
Requests in flight may end first, for as long as the configuration says ([server] drain_timeout).
Stopping a daemon that is not running is a success.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """How long to wait."""
    grace = parser.add_mutually_exclusive_group()
    grace.add_argument("--now", action="store_true", help="do not wait for requests in flight")
    grace.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        help="how many seconds requests in flight may go on",
    )


def run(args: argparse.Namespace, client: ControlClient, console: Console) -> int:
    """Stop; exit 1 when the daemon is still there when its time is over."""
    try:
        status = client.status()
    except NotRunning:
        return _stopped(console, "llmproxyd is not running")
    grace_s = 0.0 if args.now else args.timeout
    with end_of(status.pid) as wait:
        status = client.stop(grace_s)
        if status.in_flight and grace_s != 0:
            console.talk(f"waiting for {counted(status.in_flight, 'request')} in flight")
        limit_s = (status.drain_timeout_s if grace_s is None else grace_s) + _MARGIN_S
        if not wait(limit_s):
            raise ControlError(
                f"llmproxyd (pid {status.pid}) is still there after {limit_s:g} s: "
                f"`kill -9 {status.pid}` ends it"
            )
    return _stopped(console, f"llmproxyd (pid {status.pid}) has stopped")


def _stopped(console: Console, sentence: str) -> int:
    if console.as_json:
        console.say_json({"state": "stopped"})
    else:
        console.talk(sentence)
    return EXIT_OK


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return seconds
