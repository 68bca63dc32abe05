"""Real model servers as processes of their own: llama.cpp, and the LiteLLM proxy in front of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.real import installed

HERE = Path(__file__).resolve().parent
READY_S = 180
LITELLM_KEY = "sk-litellm-canary-81d3"


@contextmanager
def _process(
    command: list[str], log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            pass
        assert process.poll() is None, f"it died:\n{log.read_text()[-4000:]}"
        assert time.monotonic() < deadline, f"{url} is not ready:\n{log.read_text()[-4000:]}"
        time.sleep(0.1)


@contextmanager
def llama(
    model: Path, alias: str, template: str, folder: Path, *, window: int, slots: int = 1
) -> Iterator[str]:
    """llama.cpp with one model, `window` tokens a slot; gives its URL without `/v1`."""
    python = installed.require("llama")
    log = folder / f"{alias}.log"
    command = [
        *(str(python), str(HERE / "llama_server.py"), str(model), alias),
        *(str(HERE / template), str(window * slots), str(slots)),
    ]
    with _process(command, log, os.environ) as process:
        deadline = time.monotonic() + READY_S
        port = None
        while port is None:
            lines = log.read_text(errors="replace").splitlines()
            port = next((line.split()[1] for line in lines if line.startswith("READY ")), None)
            assert process.poll() is None, f"it died:\n{log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, f"not ready:\n{log.read_text()[-4000:]}"
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/health", process, log)
        yield url


@contextmanager
def litellm(models: Mapping[str, tuple[str, str]], folder: Path) -> Iterator[str]:
    """The LiteLLM proxy; `models` maps its names to (upstream model, upstream URL with /v1)."""
    binary = installed.require("litellm")
    config = {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"openai/{model}",
                    "api_base": url,
                    "api_key": "sk-none",
                },
            }
            for name, (model, url) in models.items()
        ],
        "litellm_settings": {"drop_params": True, "num_retries": 0, "request_timeout": 120},
        "general_settings": {"master_key": LITELLM_KEY},
    }
    path = folder / "litellm.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "litellm.log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        # Without these it fetches a price list and reports home at its start.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "DISABLE_SCHEMA_UPDATE": "true",
    }
    command = [str(binary), "--config", str(path), "--host", "127.0.0.1", "--port", str(port)]
    with _process([*command, "--num_workers", "1"], log, environment) as process:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/health/liveliness", process, log)
        yield url
