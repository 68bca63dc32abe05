"""Reload and `use`, on a real file: everything or nothing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from llmproxyd.config.parse import Parsed
from llmproxyd.errors import ConfigError
from llmproxyd.reload.files import ConfigFile, ConfigLoader
from llmproxyd.reload.snapshot import Snapshot, compile_snapshot
from llmproxyd.reload.store import SnapshotStore
from llmproxyd.reload.watch import Reloader, ReloadOutcome
from tests.reload.worlds import ENV, world

TWO = "[backends.fast]\ntype = 'saas'\n[backends.box]\ntype = 'self-hosted'\nurl = 'http://h'\n"


class Journal:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.events.append((f"warning: {event}", fields))


class House:
    """A reloader over a real file, its clock at one second per look."""

    def __init__(self, path: Path, text: str, env: dict[str, str]) -> None:
        self.path = path
        self.env = dict(env)
        self.write(text)
        self.loader = ConfigLoader(ConfigFile(path, is_required=True), {}, {})
        self.log = Journal()
        self._now_s = 999.0
        first = compile_snapshot(
            self.loader.load(), world(self.env), generation=1, loaded_at_s=self.clock()
        )
        self.store = SnapshotStore(first)
        self.reloader = Reloader(self.store, self.load, world(self.env), self.clock, self.log)

    def clock(self) -> float:
        self._now_s += 1
        return self._now_s

    def load(self) -> Parsed:
        return self.loader.load()

    def write(self, text: str) -> None:
        self.path.touch(mode=0o600)
        self.path.write_text(text, encoding="utf-8")

    @property
    def current(self) -> Snapshot:
        return self.store.current


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "c.toml", f"backend = 'fast'\n{TWO}", ENV)


async def test_edited_file_is_put_in_force(house: House) -> None:
    house.write(f"backend = 'box'\nserver.port = 9\n{TWO}")
    outcome = await house.reloader.reload("SIGHUP")
    assert (
        ReloadOutcome(
            reason="SIGHUP",
            generation_before=1,
            generation_after=2,
            changed=("backend: fast -> box", "server.port: 8000 -> 9"),
            needs_restart=("server.port",),
            at_s=1001.0,
        )
        == outcome
    )
    assert (2, "box") == (house.current.generation, house.current.active)
    assert outcome is house.reloader.last_outcome


async def test_reload_is_logged_with_what_changed(house: House) -> None:
    house.write(f"backend = 'box'\n{TWO}")
    await house.reloader.reload("control")
    assert [
        (
            "config_reloaded",
            {
                "reason": "control",
                "generation_before": 1,
                "generation_after": 2,
                "changed": ("backend: fast -> box",),
                "needs_restart": (),
                "at_s": 1001.0,
            },
        )
    ] == house.log.events


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("backend = fast", "c.toml:1:11: not valid TOML: invalid value"),
        ("backnd = 'x'", "c.toml:1:1: backnd: unknown key"),
        ("backend = 'gone'", 'c.toml:1:1: backend: there is no backend "gone"'),
        (f"backend = 'fast'\n{TWO}api_key = {{ env = 'GONE' }}\nprot = 1", "backends.box.prot"),
    ],
    ids=["not TOML", "unknown key", "unknown backend", "bad backend"],
)
async def test_bad_file_leaves_everything_as_it_was(house: House, text: str, expected: str) -> None:
    before = house.current
    house.write(text)
    with pytest.raises(ConfigError) as caught:
        await house.reloader.reload("SIGHUP")
    assert expected in str(caught.value)
    assert house.current is before
    assert house.reloader.last_error is caught.value
    assert house.reloader.last_error_s > before.loaded_at_s
    assert house.reloader.last_outcome is None
    assert [
        (
            "warning: config_rejected",
            {
                "reason": "SIGHUP",
                "generation": 1,
                "problems": [str(problem) for problem in caught.value.problems],
            },
        )
    ] == house.log.events


async def test_mended_file_ends_the_error(house: House) -> None:
    house.write("backend = 'gone'")
    with pytest.raises(ConfigError):
        await house.reloader.reload("SIGHUP")
    house.write(TWO)
    await house.reloader.reload("SIGHUP")
    assert (2, "genuine", None) == (
        house.current.generation,
        house.current.active,
        house.reloader.last_error,
    )


async def test_file_that_has_gone_is_refused(house: House) -> None:
    house.path.unlink()
    with pytest.raises(ConfigError, match="there is no such file"):
        await house.reloader.reload("SIGHUP")
    assert 1 == house.current.generation


async def test_file_that_others_may_read_now_is_refused(house: House) -> None:
    house.write(f"backend = 'fast'\n{TWO}api_key = 'canary-key'")
    house.path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        await house.reloader.reload("SIGHUP")
    assert "canary" not in str(caught.value)


async def test_request_keeps_the_snapshot_it_holds(house: House) -> None:
    held = house.current
    house.write(TWO)
    await house.reloader.reload("SIGHUP")
    assert ("fast", "genuine") == (held.active, house.current.active)


async def test_needed_restart_is_recalled_until_it_comes(house: House) -> None:
    house.write(f"server.port = 9\n{TWO}")
    await house.reloader.reload("SIGHUP")
    outcome = await house.reloader.reload("SIGHUP")
    assert ((), ("server.port",)) == (outcome.changed, outcome.needs_restart)


async def test_followers_see_each_swap_with_both_snapshots(house: House) -> None:
    seen: list[tuple[int, int, int]] = []
    house.reloader.on_swap.append(
        lambda old, new: seen.append((old.generation, new.generation, house.current.generation))
    )
    await house.reloader.reload("SIGHUP")
    await house.reloader.use("box")
    assert [(1, 2, 2), (2, 3, 3)] == seen


async def test_followers_see_nothing_of_a_failed_reload(house: House) -> None:
    seen: list[Snapshot] = []
    house.reloader.on_swap.append(lambda old, new: seen.append(new))
    house.write("x = 1")
    with pytest.raises(ConfigError):
        await house.reloader.reload("SIGHUP")
    assert [] == seen


async def test_use_switches_at_once(house: House) -> None:
    outcome = await house.reloader.use("box")
    assert ("use", ("backend: fast -> box",), 2) == (
        outcome.reason,
        outcome.changed,
        outcome.generation_after,
    )
    assert ("box", "box") == (house.current.active, house.current.override)


async def test_use_does_not_read_the_file(house: House) -> None:
    house.write("not TOML")
    await house.reloader.use("box")
    assert ("box", ["genuine", "fast", "box"]) == (
        house.current.active,
        list(house.current.entries),
    )


async def test_use_of_what_is_not_there_changes_nothing(house: House) -> None:
    with pytest.raises(ConfigError, match='there is no backend "bix" to use'):
        await house.reloader.use("bix")
    assert (1, "fast", None) == (
        house.current.generation,
        house.current.active,
        house.reloader.last_error,
    )


async def test_use_of_a_backend_without_its_key_says_what_to_do(tmp_path: Path) -> None:
    house = House(tmp_path / "c.toml", TWO, {})
    with pytest.raises(ConfigError, match="SAAS_KEY is not set"):
        await house.reloader.use("fast")
    assert "genuine" == house.current.active


async def test_used_backend_stays_over_reloads(house: House) -> None:
    await house.reloader.use("box")
    house.write(f"backend = 'fast'\nserver.port = 9\n{TWO}")
    outcome = await house.reloader.reload("SIGHUP")
    assert ("box", ("server.port: 8000 -> 9",)) == (house.current.active, outcome.changed)


async def test_used_backend_gives_way_when_the_configured_one_changes(house: House) -> None:
    await house.reloader.use("box")
    house.write(f"backend = 'genuine'\n{TWO}")
    outcome = await house.reloader.reload("SIGHUP")
    assert ("genuine", None) == (house.current.active, house.current.override)
    assert ("backend: box -> genuine",) == outcome.changed


async def test_used_backend_that_leaves_the_file_is_told(house: House) -> None:
    await house.reloader.use("box")
    house.write("backend = 'fast'\n[backends.fast]\ntype = 'saas'\n")
    with pytest.raises(ConfigError, match='there is no backend "box" to use'):
        await house.reloader.reload("SIGHUP")
    assert "box" == house.current.active


async def test_rotated_key_is_read_again(house: House) -> None:
    house.env["SAAS_KEY"] = "saas-key-2"
    outcome = await house.reloader.reload("SIGHUP")
    assert ("backends.fast.api_key changed",) == outcome.changed
    assert ("saas-key-2",) == house.current.secrets


async def test_reloads_come_one_after_the_other_and_off_the_loop(house: House) -> None:
    threads: list[str] = []
    running = 0
    most = 0

    def load() -> Parsed:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threads.append(threading.current_thread().name)
        parsed = house.loader.load()
        running -= 1
        return parsed

    reloader = Reloader(house.store, load, world(house.env), house.clock, house.log)
    outcomes = await asyncio.gather(*(reloader.reload(str(n)) for n in range(5)))
    assert [2, 3, 4, 5, 6] == [outcome.generation_after for outcome in outcomes]
    assert 1 == most
    assert threading.main_thread().name not in threads


async def test_cancelled_reload_leaves_the_next_one_free(house: House) -> None:
    running = asyncio.ensure_future(house.reloader.reload("first"))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert 2 == (await house.reloader.reload("second")).generation_after
