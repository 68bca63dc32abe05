"""`llmproxyctl version`: this program's version and the daemon's."""

from __future__ import annotations

import argparse

from llmproxyctl.client import ControlClient, ControlError
from llmproxyctl.render import Console, printable
from llmproxyd.control.schema import EXIT_OK, VERSION

EPILOG = ""


def configure(_parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(args: argparse.Namespace, client: ControlClient, console: Console) -> int:
    """Show both; a daemon that can not be asked is no failure of this command."""
    try:
        daemon, reason = client.version().version, ""
    except ControlError as error:
        daemon, reason = "", error.message
    if console.as_json:
        console.say_json({"client": VERSION, "daemon": daemon or None})
        return EXIT_OK
    console.say(f"{args.prog} {VERSION}")
    if daemon:
        console.say(f"llmproxyd {printable(daemon)}")
    else:
        console.talk(reason)
    return EXIT_OK
