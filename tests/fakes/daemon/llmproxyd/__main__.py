"""A daemon that keeps the contract of the real one and serves no port of its own.

Lock, control socket, signals, lifecycle and the word on the ready pipe are the real ones. The
environment variable SCRIPT tells it to misbehave: `config`, `crash`, `signal`, `mute`, `slow`,
`stubborn` (a request in flight that ends with a
SIGHUP only).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from llmproxyd.control import schema
from llmproxyd.control.app import serve_control
from llmproxyd.service.lifecycle import Lifecycle
from llmproxyd.service.lock import instance_lock
from llmproxyd.service.ready import Ready, StartupError
from llmproxyd.service.signals import signal_handlers
from llmproxyd.service.sockets import control_listener, private_dir
from tests.fakes.control_host import STATUS, Events, ScriptedHost

DRAIN_TIMEOUT_S = 30.0


def _misbehave(script):
    if script == "config":
        raise StartupError("config.toml:3:1: backend: no such backend (say x)", exit_code=6)
    if script == "crash":
        print("Traceback: \x1b[2Jit broke")
        sys.exit(3)
    if script == "signal":
        signal.raise_signal(signal.SIGKILL)
    if script == "mute":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("mute", flush=True)
        time.sleep(60)
    if script == "slow":
        time.sleep(1.5)


async def _serve(options, lock, ready):
    lifecycle = Lifecycle(asyncio.get_running_loop().time)

    class Host(ScriptedHost):
        def status(self):
            return replace(
                STATUS,
                pid=os.getpid(),
                state=str(lifecycle.phase),
                port=int(options.port or 8000),
                base_url=schema.base_url(options.host or "127.0.0.1", int(options.port or 8000)),
                config_path=options.config or "",
                in_flight=len(lifecycle.in_flight),
                drain_timeout_s=DRAIN_TIMEOUT_S,
            )

        def stop(self, grace_s):
            lifecycle.request_stop(DRAIN_TIMEOUT_S if grace_s is None else grace_s)

    host = Host()
    with (
        ExitStack() as requests,
        signal_handlers(
            drain=lambda: lifecycle.request_stop(DRAIN_TIMEOUT_S),
            stop_now=lambda: lifecycle.request_stop(0),
            reload=requests.close,
        ),
        control_listener(Path(options.socket), lock) as listener,
    ):
        if os.environ.get("SCRIPT") == "stubborn":
            requests.enter_context(lifecycle.admit("req_1", "/v1/messages"))
        runner = await serve_control(host, listener, Events())
        lifecycle.set_ready()
        ready.ok(schema.to_json(host.status()))
        await lifecycle.stop_requested()
        await lifecycle.drain()
        await runner.cleanup()


def main():
    parser = argparse.ArgumentParser()
    for name in ("--config", "--host", "--port", "--socket"):
        parser.add_argument(name)
    parser.add_argument("--ready-fd", type=int)
    options = parser.parse_args()
    ready = Ready(options.ready_fd)
    path = Path(options.socket)
    print("cwd", Path.cwd(), "session", os.getsid(0) == os.getpid(), flush=True)
    print("fds", [fd.name for fd in Path("/proc/self/fd").iterdir()], flush=True)
    try:
        _misbehave(os.environ.get("SCRIPT"))
        private_dir(path.parent)
        with instance_lock(schema.lock_path(path)) as lock:
            asyncio.run(_serve(options, lock, ready))
    except StartupError as error:
        print(error.message, file=sys.stderr)
        ready.failed(error)
        sys.exit(error.exit_code)


main()
