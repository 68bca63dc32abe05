"""What is measured: the proxies, each as a process that is started, asked and stopped."""

from __future__ import annotations

import http.client
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from machine import on_cpus, process_tree, weigh

if TYPE_CHECKING:
    from collections.abc import Collection

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PASS_THROUGH = "a2a"  # Anthropic in, Anthropic out
TRANSLATED = "a2o"  # Anthropic in, OpenAI out, and back
MODES = (PASS_THROUGH, TRANSLATED)
_MODELS = {PASS_THROUGH: "claude-bench", TRANSLATED: "gpt-bench"}
_HEADERS = {
    "x-api-key": "sk-bench",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219",
    "accept": "application/json",
    "user-agent": "claude-cli/bench (external, cli)",
}
_POLL_S = 0.004


class NotReady(Exception):
    """A target did not come up."""


@dataclass(kw_only=True)
class Target:
    """One proxy, or the upstream itself.

    Attributes:
        name: as in the tables.
        modes: which of `MODES` it serves.
        port: None until the process has told it.
        command: None for something that runs already. `{READY_FD}` in it stands for a pipe on
            which the process writes `{"ok": true, "status": {"port": …}}`.
        cwd: where it runs; of the daemon, the checkout.
        pid: of something that runs already, for its CPU and memory.
        skip: kinds of cells that it can not do.
        ready_s: how long it may take to answer first.
    """

    name: str
    modes: tuple[str, ...] = MODES
    port: int | None = None
    command: list[str] | None = None
    cwd: Path = ROOT
    env: dict[str, str] = field(default_factory=dict)
    pid: int | None = None
    models: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    ready_s: float = 30
    start_s: list[float] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> str:
        """Its name and modes: one process."""
        return f"{self.name} {'+'.join(self.modes)}"

    def url(self) -> str:
        """Where requests go."""
        return f"http://127.0.0.1:{self.port}/v1/messages"

    def model(self, mode: str) -> str:
        """The model that requests of `mode` ask for."""
        return self.models.get(mode, _MODELS[mode])

    def all_headers(self) -> dict[str, str]:
        """Headers of every request."""
        return _HEADERS | self.headers

    def pids(self) -> list[int]:
        """The whole process tree."""
        pid = self.process.pid if self.process else self.pid
        return process_tree(pid) if pid else []

    def is_dead(self) -> bool:
        """It was started here, and has ended."""
        return self.process is not None and self.process.poll() is not None

    def start(self, log: Path, body: bytes, cpus: Collection[int] | None, nice: int) -> None:
        """Start the process and wait for its first good answer; the time goes to `start_s`.

        Raises:
            NotReady: it ended, or gave no good answer in time.
        """
        if self.command is None:
            return
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        reader, writer = os.pipe()
        command = [part.replace("{READY_FD}", str(writer)) for part in self.command]
        began = time.monotonic()
        with log.open("ab") as output, on_cpus(cpus):
            self.process = subprocess.Popen(
                command,
                cwd=self.cwd,
                env=env | self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writer,),
                start_new_session=True,
            )
        os.close(writer)
        weigh(self.process.pid, nice)
        try:
            if "{READY_FD}" in " ".join(self.command):
                self.port = self._read_port(reader)
            self._await_answer(body, began)
        finally:
            os.close(reader)
        self.start_s.append(round(time.monotonic() - began, 4))

    def _read_port(self, reader: int) -> int:
        if not select.select([reader], [], [], self.ready_s)[0]:
            raise NotReady(f"{self.key}: not ready within {self.ready_s:g} s")
        line = os.read(reader, 65536)
        try:
            return int(json.loads(line)["status"]["port"])
        except (ValueError, KeyError, TypeError):
            raise NotReady(f"{self.key}: said {line!r} in place of a ready line") from None

    def _await_answer(self, body: bytes, began: float) -> None:
        problem = "no answer"
        while time.monotonic() < began + self.ready_s:
            if self.is_dead():
                raise NotReady(f"{self.key}: exited {self.process.returncode}, see its log")
            problem = self.ask(body)
            if not problem:
                return
            time.sleep(_POLL_S)
        raise NotReady(f"{self.key}: {problem}")

    def ask(self, body: bytes) -> str:
        """Send one request on its own connection. Returns what is wrong, "" for a good answer."""
        url = urlsplit(self.url())
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        headers = {"content-type": "application/json"} | self.all_headers()
        try:
            connection.request("POST", url.path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()
        good = answer.status == 200 and b'"usage"' in text
        return "" if good else f"{answer.status} {text[:300]!r}"

    def stop(self) -> None:
        """End the process and what it started."""
        if self.process is None:
            return
        for number, patience_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            for pid in process_tree(self.process.pid):
                with suppress(OSError):
                    os.kill(pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience_s)
                break
        for pid in process_tree(self.process.pid):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process = None


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def reference(upstream_url: str) -> Target:
    """The aiohttp relay of `reference.py`."""
    script = [sys.executable, str(HERE / "reference.py")]
    arguments = ["--upstream", upstream_url, "--ready-fd", "{READY_FD}"]
    return Target(name="reference", modes=(PASS_THROUGH,), command=script + arguments)


_DAEMON_CONFIG = """\
backend = "{backend}"

# The bytes of an answer stay as they are, as from Anthropic's own host.
[backends.exact]
type = "anthropic"
url = "{url}"
api_key = {{ env = "BENCH_KEY" }}
quirks = {{ repair = false }}

# Any other host that speaks Messages: every event is read and mended.
[backends.repaired]
type = "anthropic"
url = "{url}"
api_key = {{ env = "BENCH_KEY" }}

[backends.translated]
type = "openai-compatible"
url = "{url}/v1"
api_key = {{ env = "BENCH_KEY" }}
model = "gpt-bench"
"""
# suffix of the name, mode, backend
_DAEMONS = (
    ("", PASS_THROUGH, "exact"),
    ("", TRANSLATED, "translated"),
    ("-repair", PASS_THROUGH, "repaired"),
)


def daemons(
    upstream_url: str, scratch: Path, name: str = "llmproxyd", checkout: Path = ROOT
) -> list[Target]:
    """llmproxyd with all features at their defaults: one for each backend, since one is active."""
    daemons = []
    for suffix, mode, backend in _DAEMONS:
        home = scratch / f"{name}-{backend}"
        home.mkdir(exist_ok=True)
        target = _daemon(upstream_url, home, backend)
        target.name, target.modes, target.cwd = name + suffix, (mode,), checkout
        daemons.append(target)
    return daemons


def _daemon(upstream_url: str, home: Path, backend: str) -> Target:
    config = home / "config.toml"
    config.write_text(_DAEMON_CONFIG.format(backend=backend, url=upstream_url))
    command = [sys.executable, "-m", "llmproxyd", "--config", str(config), "--port", "0"]
    command += ["--socket", str(home / "control.sock"), "--ready-fd", "{READY_FD}"]
    folders = {
        f"XDG_{name}_HOME": str(home / name.lower())
        for name in ("CONFIG", "STATE", "CACHE", "DATA")
    }
    env = {"BENCH_KEY": "sk-bench", "HOME": str(home), "XDG_RUNTIME_DIR": str(home), **folders}
    models = dict.fromkeys(MODES, "claude-bench")
    return Target(name="", command=command, env=env, models=models)


def peers(upstream_url: str, scratch: Path, folder: Path) -> tuple[list[Target], list[str]]:
    """Those of `peers/targets.json` that are installed, and the names of the others."""
    found, missing = [], []
    specs: dict[str, Any] = json.loads((HERE / "peers" / "targets.json").read_text())
    for name, spec in specs.items():
        words = {
            "{UPSTREAM}": upstream_url,
            "{UPSTREAM_PORT}": str(urlsplit(upstream_url).port),
            "{PORT}": str(port := free_port()),
            "{SCRATCH}": str(scratch),
            "{PEERS}": str(folder.resolve()),
        }
        command = [_filled(part, words) for part in shlex.split(spec["command"])]
        if not all(shutil.which(part) or Path(part).exists() for part in _programs(command)):
            missing.append(name)
            continue
        for template, destination in spec.get("files", {}).items():
            path = Path(_filled(destination, words))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_filled((HERE / "peers" / template).read_text(), words))
        target = Target(
            name=name,
            port=port,
            command=command,
            modes=tuple(spec.get("modes", MODES)),
            env={key: _filled(value, words) for key, value in spec.get("env", {}).items()},
            headers={key: _filled(value, words) for key, value in spec.get("headers", {}).items()},
            models=spec.get("models", {}),
            skip=tuple(spec.get("skip", ())),
            ready_s=spec.get("ready_s", 60),
        )
        found.append(target)
    return found, missing


def _programs(command: list[str]) -> list[str]:
    """The program, and the script when it is an interpreter's absolute path argument."""
    return [command[0], *(part for part in command[1:2] if part.endswith(".js"))]


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def running(description: str) -> Target:
    """`NAME=PORT[,pid=N][,mode=a2a|a2o][,model=M][,header.NAME=VALUE]…`: what runs already."""
    name, _, rest = description.partition("=")
    port, *options = rest.split(",")
    target = Target(name=name, port=int(port))
    for option in options:
        key, _, value = option.partition("=")
        if key == "pid":
            target.pid = int(value)
        elif key == "mode":
            target.modes = (value,)
        elif key == "model":
            target.models = dict.fromkeys(MODES, value)
        elif key.startswith("header."):
            target.headers[key.removeprefix("header.")] = value
        else:
            raise ValueError(f"--target: what is {option!r}?")
    return target
