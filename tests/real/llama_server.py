"""Run llama.cpp's own HTTP server out of the xllamacpp wheel; prints `READY port`.

    llama_server.py MODEL.gguf ALIAS TEMPLATE.jinja CONTEXT SLOTS

Runs in the environment that `setup.sh` made, not in the project's. One thread: two spin against
each other on a busy two-core machine. Greedy whatever temperature the client sends: repeatable.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path

import xllamacpp


def free_port() -> int:
    """A port that was free a moment ago; the server takes no 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(model: str, alias: str, template: str, context: str, slots: str) -> None:
    """Serve until a signal comes."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {alias}
    params.hostnames = ["127.0.0.1"]
    params.port = free_port()
    params.n_ctx = int(context)
    params.n_parallel = int(slots)
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.sampling.top_k = 1
    params.chat_template = Path(template).read_text(encoding="utf-8")
    params.use_jinja = True
    params.endpoint_metrics = True
    params.endpoint_slots = True
    params.ui = False
    params.offline = True
    server = xllamacpp.Server(params)
    print("READY", server.listening_address.rpartition(":")[2], flush=True)
    while not stop.wait(0.2):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
