"""The real daemon as a process of its own, in a scratch home, and the real control client.

`stop` asserts what must hold after every test: a clean exit, no traceback, and none of the keys
that went through it anywhere in its output.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.real.claude_cli import API_KEY
from tests.real.installed import ROOT
from tests.real.servers import LITELLM_KEY

# Without a prefix that gives a key away: it must be known, not guessed.
BACKEND_KEY = "canary-5f2e8d0c71b94a6f"
CANARIES = (BACKEND_KEY, API_KEY, LITELLM_KEY)
START_S = 60
STOP_S = 30

Backends = Mapping[str, Mapping[str, Any]]


def toml(active: str | None, backends: Backends, extra: str = "") -> str:
    """A configuration file; `extra` is TOML to put in front of the backends."""
    lines = [f"backend = {_value(active)}"] if active else []
    lines.append(extra)
    for name, entry in backends.items():
        lines.append(f'[backends."{name}"]')
        lines += [f"{key} = {_value(value)}" for key, value in entry.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f'"{key}" = {_value(inner)}' for key, inner in value.items())
        return f"{{ {pairs} }}"
    return json.dumps(value)  # strings, numbers, booleans and lists are written alike in TOML


async def eventually(is_true: Callable[[], object], *, timeout_s: float = 20) -> None:
    """Wait until `is_true` holds; what another process does gives no event to wait for."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"not true after {timeout_s} s: {is_true}"
        await asyncio.sleep(0.02)


def scratch_environment(home: Path) -> dict[str, str]:
    """An environment in which nothing of the caller's can be found or harmed."""
    runtime = home / "run"
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "TMPDIR") or name.startswith("COVERAGE")
    }
    return {
        **kept,
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_RUNTIME_DIR": str(runtime),
    }


class Daemon:
    """One daemon. `launch` starts it, `stop` ends it and looks at what it left."""

    def __init__(self, home: Path, config: str, environment: Mapping[str, str]) -> None:
        self.home = home
        self.config_path = home / "config.toml"
        self.socket = home / "run" / "control.sock"
        self.output = home / "daemon.log"
        self.environment = {
            **scratch_environment(home),
            "LLMPROXYD_SOCKET": str(self.socket),
            **environment,
        }
        self.configure(config)
        self.status: dict[str, Any] = {}
        self._last_words = ""  # its output, kept when its home is gone
        self.process: asyncio.subprocess.Process | None = None

    @classmethod
    async def launch(
        cls, config: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> Daemon:
        """Start a daemon and wait until it says that its port answers."""
        # Not pytest's folder: the path of a Unix socket must be short.
        home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="llmproxyd-"))
        daemon = cls(home, config, environment or {})
        await daemon.start(*arguments)
        return daemon

    @classmethod
    async def refused(cls, config: str, *arguments: str) -> tuple[int, str]:
        """Start a daemon that must not start: its exit code and what it said."""
        home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="llmproxyd-"))
        daemon = cls(home, config, {})
        word = await daemon._spawn(arguments)
        assert daemon.process is not None
        async with asyncio.timeout(STOP_S):
            code = await daemon.process.wait()
        assert not word["ok"]
        assert code == word["exit_code"]
        assert word["error"] in daemon.text
        assert "Traceback" not in daemon.text, daemon.text
        await asyncio.to_thread(shutil.rmtree, home)
        return code, daemon.text

    async def start(self, *arguments: str) -> None:
        """Start the process, at first or again, and wait until it says that its port answers."""
        word = await self._spawn(arguments)
        assert word["ok"], f"the daemon did not start: {word['error']}\n{self.text}"
        self.status = word["status"]

    async def _spawn(self, arguments: tuple[str, ...]) -> dict[str, Any]:
        """Start the process; what it says on its pipe."""
        reading, writing = os.pipe()
        try:
            with self.output.open("ab") as output:
                self.process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", "llmproxyd", "--config", str(self.config_path), "--port", "0"),
                    *("--socket", str(self.socket), "--ready-fd", str(writing), *arguments),
                    cwd=self.home,
                    env=self.environment,
                    pass_fds=(writing,),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
        finally:
            os.close(writing)
        with os.fdopen(reading, "r", encoding="utf-8") as pipe:
            async with asyncio.timeout(START_S):
                line = await asyncio.to_thread(pipe.readline)
        word: dict[str, Any] = json.loads(line or '{"ok": false, "error": "it died"}')
        return word

    # ---- what it is like
    @property
    def port(self) -> int:
        """Its proxy port."""
        return int(self.status["port"])

    @property
    def url(self) -> str:
        """What goes into ANTHROPIC_BASE_URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        """All that it has written to stdout and stderr."""
        if self.output.exists():
            self._last_words = self.output.read_text(encoding="utf-8")
        return self._last_words

    @property
    def log(self) -> list[dict[str, Any]]:
        """Its log events so far."""
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log events called `name`."""
        return [event for event in self.log if event.get("event") == name]

    @property
    def is_alive(self) -> bool:
        """Its process runs."""
        return self.process is not None and self.process.returncode is None

    # ---- what one does with it
    def configure(self, config: str) -> None:
        """Write the configuration file; a running daemon reads it at the next reload."""
        self.config_path.touch(mode=0o600)
        self.config_path.write_text(config, encoding="utf-8")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    async def hang_up(self, config: str) -> None:
        """Change the configuration and send SIGHUP; waits until the reload has ended."""
        names = ("config_reloaded", "config_rejected")
        before = sum(len(self.events(name)) for name in names)
        self.configure(config)
        self.signal(signal.SIGHUP)
        await eventually(lambda: sum(len(self.events(name)) for name in names) > before)

    async def ctl(self, *arguments: str, timeout_s: float = 60) -> tuple[int, str, str]:
        """Run `llmproxyctl`: exit code, stdout, stderr."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "llmproxyctl", *arguments),
            cwd=self.home,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, out.decode(), err.decode()

    async def use(self, backend: str) -> None:
        """`llmproxyctl use BACKEND`."""
        code, out, err = await self.ctl("use", backend)
        assert code == 0, out + err

    async def end(self, number: signal.Signals) -> None:
        """End the process, whose home stays for the next `start`."""
        assert self.process is not None
        self.signal(number)
        async with asyncio.timeout(STOP_S):
            await self.process.wait()

    async def stop(self) -> None:
        """SIGTERM, then the promises of every daemon."""
        assert self.process is not None
        if self.is_alive:
            self.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_S):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
                raise AssertionError(f"not stopped after {STOP_S} s:\n{self.text}") from None
        assert self.process.returncode == 0, f"exit {self.process.returncode}:\n{self.text}"
        assert "Traceback" not in self.text, self.text
        for canary in CANARIES:
            leaks = await asyncio.to_thread(_files_with, canary, self.home, self.config_path)
            assert not leaks, f"a key is in {leaks}"
        await asyncio.to_thread(shutil.rmtree, self.home)


def _files_with(word: str, folder: Path, *allowed: Path) -> list[str]:
    found = subprocess.run(
        ["grep", "-rlF", "--devices=skip", word, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [name for name in found.stdout.splitlines() if Path(name) not in allowed]
