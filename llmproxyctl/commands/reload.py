"""`llmproxyctl reload`: read the configuration again, and say what came of it."""

from __future__ import annotations

import argparse

from llmproxyctl.client import ControlClient
from llmproxyctl.render import Console, printable
from llmproxyd.control.schema import EXIT_OK, ReloadReply, to_json

EPILOG = """\
A configuration that does not hold changes nothing: its errors are printed with file, line and
column, and the exit code is 6. Requests in flight end with the configuration they began with.
"""


def configure(_parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(_args: argparse.Namespace, client: ControlClient, console: Console) -> int:
    """Reload; exit 6 with every problem on stderr when it is refused."""
    reply = client.reload()
    if console.as_json:
        console.say_json(to_json(reply))
        return EXIT_OK
    if not reply.changed and not reply.needs_restart:
        console.say(f"nothing changed (generation {reply.generation})")
        return EXIT_OK
    console.say(f"generation {reply.generation} is in force")
    say_changes(reply, console)
    return EXIT_OK


def say_changes(reply: ReloadReply, console: Console) -> None:
    """One line per change, and what waits for a restart."""
    for change in reply.changed:
        console.say(f"  {printable(change)}")
    for change in reply.needs_restart:
        console.say(f"  {printable(change)}: takes effect after `stop` and `start`")
