"""Status and health from what is known, and wishes carried out."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmproxyd.config.schema import Config, ServerConfig
from llmproxyd.errors import ConfigError, Problem
from llmproxyd.ledger.counters import Counters
from llmproxyd.service.lifecycle import Lifecycle
from llmproxyd.spi import Backend, BackendEntry
from llmproxyd.standing import Sources, Standing

OUTCOME = SimpleNamespace(
    generation_after=2, changed=("backend: a -> b",), needs_restart=("server.port",), at_s=5.0
)
PROBLEM = Problem("backend", "no such backend", file="c.toml", line=1, column=2)


class Reloader:
    """Succeeds, or refuses with a problem."""

    def __init__(self) -> None:
        self.refuses = False
        self.asked = []
        self.last_outcome = self.last_error = None
        self.last_error_s = 0.0

    async def reload(self, reason):
        return self._end(reason)

    async def use(self, name):
        return self._end(name)

    def _end(self, what):
        self.asked.append(what)
        if self.refuses:
            self.last_error, self.last_error_s = ConfigError([PROBLEM]), 7.0
            raise self.last_error
        self.last_outcome = OUTCOME
        return OUTCOME


@pytest.fixture
def world(tmp_path):
    kind = Backend(kind="toy", dialects=())
    dialect = SimpleNamespace(name="openai")
    entries = {
        name: BackendEntry(
            name=name, backend=kind, url=f"http://{name}", dialect=dialect, model="m"
        )
        for name in ("a", "b", "c")
    }
    snapshot = SimpleNamespace(
        generation=1,
        config=Config(server=ServerConfig(drain_timeout_s=9.0)),
        entries=entries,
        active="a",
        fallback=("b",),
        unusable={"c": "no key"},
    )
    listener = socket.create_server(("127.0.0.1", 0))
    clock = SimpleNamespace(now_s=100.0)
    sources = Sources(
        store=SimpleNamespace(current=snapshot),
        reloader=Reloader(),
        lifecycle=Lifecycle(lambda: clock.now_s),
        probe=SimpleNamespace(known=lambda entry: entry.dialect),
        counters=Counters(),
        clock=lambda: clock.now_s,
        listener=listener,
        socket_path=Path("/run/x.sock"),
        config_path=tmp_path / "config.toml",
    )
    standing = Standing(sources)
    clock.now_s = 102.5
    port = listener.getsockname()[1]
    yield SimpleNamespace(standing=standing, sources=sources, port=port)
    listener.close()


async def test_status_tells_where_and_what(world):
    status = world.standing.status()
    assert (status.state, status.uptime_s, status.port) == ("starting", 2.5, world.port)
    assert status.base_url == f"http://localhost:{world.port}"
    assert (status.active, status.fallback, status.generation) == ("a", ("b",), 1)
    assert (status.config_path, status.last_reload) == ("", None)
    assert [backend.protocol for backend in status.backends] == ["openai"] * 3


async def test_config_path_is_told_when_there_is_a_file(world):
    world.sources.config_path.write_text("")
    assert world.standing.status().config_path == str(world.sources.config_path)


async def test_state_of_a_backend_follows_its_requests(world):
    counters = world.sources.counters
    counters.succeeded("a")
    counters.failed("b", "down")
    states = [(b.state, b.reason) for b in world.standing.status().backends]
    assert states == [("up", ""), ("failing", "down"), ("unusable", "no key")]
    counters.succeeded("b")
    assert world.standing.health()["backends"]["b"] == {"type": "toy", "state": "up"}
    assert world.standing.health()["backends"]["c"]["reason"] == "no key"


async def test_health_tells_less_than_status(world):
    health = world.standing.health()
    assert (health["status"], health["backend"], health["uptime_s"]) == ("ok", "a", 2.5)
    assert set(health) == {"status", "version", "uptime_s", "backend", "backends"}
    world.standing.stop(0)
    assert world.standing.health()["status"] == "draining"


async def test_reload_and_use_report_the_change(world):
    for ask, noted in ((world.standing.reload, "control"), (lambda: world.standing.use("b"), "b")):
        reply = await ask()
        assert (reply.ok, reply.generation) == (True, 2)
        assert (reply.changed, reply.needs_restart) == (("backend: a -> b",), ("server.port",))
        assert world.sources.reloader.asked[-1] == noted
    last = world.standing.status().last_reload
    assert (last.ok, last.when_s) == (True, 5.0)


async def test_refused_reload_keeps_the_generation_and_lists_the_problems(world):
    world.sources.reloader.refuses = True
    reply = await world.standing.reload()
    assert (reply.ok, reply.generation, reply.problems) == (False, 1, (PROBLEM,))
    last = world.standing.status().last_reload
    assert (last.ok, last.when_s, last.problems) == (False, 7.0, (PROBLEM,))


async def test_each_hang_up_is_one_reload(world):
    wanted = asyncio.Event()
    task = asyncio.get_running_loop().create_task(world.standing.reload_whenever(wanted))
    for number in (1, 2):
        wanted.set()
        while len(world.sources.reloader.asked) < number:
            await asyncio.sleep(0)
    assert world.sources.reloader.asked == ["SIGHUP", "SIGHUP"]
    assert not task.cancel() or not wanted.is_set()


async def test_stop_without_a_time_uses_the_configured_one(world):
    world.standing.stop(None)
    async with asyncio.timeout(5):
        await world.sources.lifecycle.stop_requested()
    assert world.sources.lifecycle._deadline_s == 102.5 + 9.0
