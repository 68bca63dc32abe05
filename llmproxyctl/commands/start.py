"""`llmproxyctl start`: the daemon in the background, and the line for the shell once it answers.

The daemon gets the writing end of a pipe and says on it whether it has become ready
(`llmproxyd.service.ready` describes the line). So a start that fails says why, and here.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from llmproxyctl.client import ControlClient, ControlError, NotRunning
from llmproxyctl.render import Console, printable
from llmproxyd.control.schema import (
    EXIT_FAILED,
    EXIT_OK,
    Status,
    default_log_path,
    from_json,
    to_json,
)

EPILOG = """\
examples:
  eval "$({prog} start)"
  {prog} start --config ~/work/llmproxyd.toml --port 9000

On stdout there is one line, for your shell:
  export ANTHROPIC_BASE_URL=http://localhost:8000
A daemon that already runs is left alone, and its line is printed.
"""

_READY_WITHIN_S: Final = 60.0
_DOT_EVERY_S: Final = 0.5
# A rival that has won the race to start needs this long at most to answer.
_RIVAL_S: Final = 10.0
_END_WITHIN_S: Final = 5.0
_LOG_LINES: Final = 5
_LOG_BYTES: Final = 4096
_LOG_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_EXIT_CODES: Final = range(1, 126)


def configure(parser: argparse.ArgumentParser) -> None:
    """What is passed on to the daemon."""
    parser.add_argument("--config", metavar="PATH", help="configuration file of the daemon")
    parser.add_argument("--host", metavar="H", help="address to listen on")
    parser.add_argument("--port", metavar="N", help="port to listen on")


def run(args: argparse.Namespace, client: ControlClient, console: Console) -> int:
    """Start; a failed start ends with the daemon's own sentence and exit code."""
    try:
        status = client.status()
    except NotRunning:
        return _start(args, client, console)
    if any(value is not None for value in (args.config, args.host, args.port)):
        console.talk("note: options of a running daemon stay as they are; `stop` it to change them")
    return _report(status, console, "is already running")


def _start(args: argparse.Namespace, client: ControlClient, console: Console) -> int:
    log_path = default_log_path(os.environ, sys.platform, Path("~").expanduser())
    log = _open_log(log_path)
    log_from = os.fstat(log).st_size
    reader, writer = os.pipe()
    try:
        daemon = _spawn([*_command(args, client.path), f"--ready-fd={writer}"], log, writer)
    finally:
        os.close(writer)
        os.close(log)
    try:
        line = _await_line(reader, console)
    except BaseException:
        _end(daemon)
        raise
    finally:
        os.close(reader)
    if not line:
        raise _death(daemon, log_path, log_from)
    # From here on it is nobody's child: init inherits it, and Popen need not watch it.
    daemon.returncode = EXIT_OK
    word = json.loads(line)
    if word["ok"]:
        console.talk(f"log: {log_path}")
        return _report(from_json(Status, word["status"]), console, "is running")
    failure = ControlError(word["error"], word["exit_code"])
    if not word["already_running"]:
        raise failure
    try:
        return _report(client.status(patience_s=_RIVAL_S), console, "is already running")
    except NotRunning:
        raise failure from None


def _open_log(path: Path) -> int:
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, _LOG_FLAGS, 0o600)
    except OSError as error:
        raise ControlError(f"can not write the log {path}: {error.strerror}") from None


def _command(args: argparse.Namespace, socket_path: Path) -> list[str]:
    # -P: the working directory may be a repository that has a module of some name we import.
    command = [sys.executable, "-P", "-m", "llmproxyd", f"--socket={socket_path}"]
    if args.config is not None:
        command.append(f"--config={Path(args.config).expanduser().absolute()}")
    passed_on = {"--host": args.host, "--port": args.port}
    return command + [f"{name}={value}" for name, value in passed_on.items() if value is not None]


def _spawn(command: list[str], log: int, writer: int) -> subprocess.Popen[bytes]:
    """Detached: a session of its own, no terminal, no folder kept busy, no other open file."""
    return subprocess.Popen(  # noqa: S603  # our own interpreter and module
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        pass_fds=(writer,),
        start_new_session=True,
    )


def _await_line(reader: int, console: Console) -> bytes:
    """The line of the pipe; empty when the daemon died. Dots show a person that we wait."""
    give_up_s = time.monotonic() + _READY_WITHIN_S
    line = b""
    has_dots = False
    while not line.endswith(b"\n"):
        if time.monotonic() >= give_up_s:
            raise ControlError(f"llmproxyd was not ready after {_READY_WITHIN_S:g} s, stopped it")
        if select.select([reader], [], [], _DOT_EVERY_S)[0]:
            part = os.read(reader, 65536)
            if not part:
                line = b""
                break
            line += part
        elif console.is_watched:
            console.talk(".", end="")
            has_dots = True
    if has_dots:
        console.talk("")
    return line


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(_END_WITHIN_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _death(daemon: subprocess.Popen[bytes], log_path: Path, log_from: int) -> ControlError:
    """What is known of a daemon that ended without a word: its exit code and last lines."""
    code = daemon.wait()
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    with log_path.open("rb") as log:
        log.seek(max(log_from, log.seek(0, os.SEEK_END) - _LOG_BYTES))
        lines = log.read().decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
    message = f"llmproxyd ended before it was ready ({how}), its log is {log_path}"
    return ControlError(
        "\n".join([message, *(f"  {printable(line)}" for line in lines)]),
        code if code in _EXIT_CODES else EXIT_FAILED,
    )


def _report(status: Status, console: Console, verb: str) -> int:
    where = f"{printable(status.base_url)} (pid {status.pid}, backend {printable(status.active)})"
    console.talk(f"llmproxyd {printable(status.version)} {verb} on {where}")
    if console.as_json:
        console.say_json(to_json(status))
    else:
        console.say(f"export ANTHROPIC_BASE_URL={shlex.quote(status.base_url)}")
    return EXIT_OK
