"""`llmproxyctl use NAME`: switch the active backend of the running daemon."""

from __future__ import annotations

import argparse

from llmproxyctl.client import ControlClient
from llmproxyctl.render import Console, printable
from llmproxyd.control.schema import EXIT_OK, to_json

EPILOG = """\
examples:
  {prog} use cerebras
  {prog} use anthropic

A stream in flight ends where it began. The choice lasts until the daemon stops; the line
`backend = "NAME"` in the configuration makes it permanent.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The name."""
    parser.add_argument("backend", metavar="NAME", help="a backend of the configuration")


def run(args: argparse.Namespace, client: ControlClient, console: Console) -> int:
    """Switch; exit 6 when the configuration has no such backend."""
    reply = client.use(args.backend)
    if console.as_json:
        console.say_json(to_json(reply))
    else:
        console.say(f"{printable(args.backend)} is the active backend now")
    return EXIT_OK
