"""argv to the daemon's options, and its end to an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from llmproxyd import __version__
from llmproxyd.daemon import Options, run

_EPILOG = """\
examples:
  llmproxyd                             every request goes to Anthropic, unchanged
  llmproxyd --config proxy.toml         with the backends of a file
  LLM_BACKEND=cerebras llmproxyd        one variable chooses among them

TERM and INT finish what is in flight and stop, a second one stops at once; HUP reloads.
The daemon in the background, and everything else: llmproxyctl --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon in the foreground until it is told to stop; the exit code."""
    parser = argparse.ArgumentParser(
        prog="llmproxyd",
        description="One local port for every Claude CLI, any model behind it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="PATH", help="the configuration file")
    parser.add_argument("--host", help="address to listen on (default localhost)")
    parser.add_argument("--port", metavar="N", help="port to listen on (default 8000)")
    parser.add_argument("--socket", metavar="PATH", help="the control socket")
    parser.add_argument("--ready-fd", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"llmproxyd {__version__}")
    options = parser.parse_args(argv)
    return run(
        Options(
            config=options.config,
            host=options.host,
            port=options.port,
            socket=options.socket,
            ready_fd=options.ready_fd,
        ),
        sys.stderr,
    )
