"""The command line of `llmproxyctl`, which is also `llm-proxy`.

One row here and one file in `commands/` per subcommand. A command's file is loaded only when the
command is on the command line, so that a prompt that asks for the status pays for nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

from llmproxyctl.client import ControlClient, ControlError
from llmproxyctl.render import Console, wants_color
from llmproxyd.control.schema import EXIT_NOT_ALLOWED, VERSION, choose_socket_path

_COMMANDS: Final = {
    "start": "start the daemon in the background and print the line for your shell",
    "stop": "let the requests in flight end, then stop the daemon",
    "reload": "read the configuration again",
    "status": "show what the daemon is doing",
    "use": "make another backend the active one, from the next request on",
    "version": "show the versions of this program and of the daemon",
}
_PROGRAMS: Final = ("llmproxyctl", "llm-proxy")
_EXIT_INTERRUPTED: Final = 130
_EPILOG: Final = """\
examples:
  eval "$({prog} start)"        start, and point this shell's Claude CLI at the proxy
  {prog} use cerebras           switch; running conversations go on
  {prog} status --json          for scripts
  {prog} stop --now             without waiting for requests in flight

`{prog} COMMAND --help` tells more. The control socket is --socket, else $LLMPROXYD_SOCKET, else
control.sock in the user's runtime folder.
"""


class Command(Protocol):
    """What a file in `commands/` has."""

    EPILOG: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own options."""
        ...

    def run(self, args: argparse.Namespace, client: ControlClient, console: Console) -> int:
        """Do it; the exit code. Raises ControlError."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; usage errors exit with 2."""
    words = sys.argv[1:] if argv is None else list(argv)
    commands = {name: _load(name) for name in _COMMANDS if name in words}
    args = _parser(_program(sys.argv[0]), commands).parse_args(words)
    color = wants_color(sys.stdout, os.environ)
    console = Console(sys.stdout, sys.stderr, as_json=args.json, color=color)
    try:
        path = choose_socket_path(
            args.socket, os.environ, sys.platform, os.geteuid(), Path("~").expanduser()
        )
        exit_code = commands[args.command].run(args, ControlClient(path), console)
        sys.stdout.flush()
    except ControlError as error:
        console.talk(f"{args.prog}: {error.message}")
        return error.exit_code
    except PermissionError as error:
        console.talk(f"{args.prog}: {error}")
        return EXIT_NOT_ALLOWED
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough; Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return exit_code


def _load(name: str) -> Command:
    return cast(Command, import_module(f"llmproxyctl.commands.{name}"))


def _program(argv0: str) -> str:
    name = Path(argv0).name
    return name if name in _PROGRAMS else _PROGRAMS[0]


def _parser(prog: str, commands: dict[str, Command]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Control llmproxyd, the local proxy between the Claude CLI and any model.",
        epilog=_EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{prog} {VERSION}")
    parser.set_defaults(prog=prog)
    _add_common(parser, default_json=False, default_socket=None)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in _COMMANDS.items():
        command = commands.get(name)
        subparser = subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=command.EPILOG.format(prog=prog) if command else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Also after the command; there they must not undo what stood before it.
        _add_common(subparser, default_json=argparse.SUPPRESS, default_socket=argparse.SUPPRESS)
        if command:
            command.configure(subparser)
    return parser


def _add_common(
    parser: argparse.ArgumentParser, *, default_json: bool | str, default_socket: str | None
) -> None:
    parser.add_argument(
        "--json", action="store_true", default=default_json, help="answer in JSON, on stdout"
    )
    parser.add_argument(
        "--socket", metavar="PATH", default=default_socket, help="the daemon's control socket"
    )


if __name__ == "__main__":
    sys.exit(main())
