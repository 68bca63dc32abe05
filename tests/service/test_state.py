import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.service import state as module
from llmproxyd.service.state import Rows, StateFile


class Warnings:
    """A log that keeps its warnings."""

    def __init__(self) -> None:
        self.fields: list[dict[str, Any]] = []

    def warning(self, event: str, **fields: Any) -> None:
        assert "state_unavailable" == event
        self.fields.append(fields)

    @property
    def reasons(self) -> list[str]:
        return [fields["reason"] for fields in self.fields]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "llmproxyd" / "state.db"


@asynccontextmanager
async def opened(path: Path, log: Warnings | None = None) -> AsyncIterator[tuple[StateFile, Rows]]:
    """A state file and its rows; nothing may be wrong with it unless `log` is given."""
    expected = log or Warnings()
    state = StateFile(path, expected)
    rows = await state.open()
    try:
        yield state, rows
    finally:
        await state.close()
    assert log is not None or not expected.fields, expected.fields


async def rows_in(path: Path) -> Rows:
    async with opened(path) as (_, rows):
        return rows


async def write(path: Path, *rows: tuple[str, str, str | None]) -> None:
    async with opened(path) as (state, _):
        for row in rows:
            state.set(*row)


async def test_what_was_set_is_there_after_a_restart(path: Path) -> None:
    await write(path, ("a", "k", "text"), ("b", "k", "other"), ("a", "l", ""))
    assert {"a": [("k", "text"), ("l", "")], "b": [("k", "other")]} == await rows_in(path)


async def test_deleted_row_is_gone(path: Path) -> None:
    await write(path, ("a", "k", "text"), ("a", "l", "text"))
    await write(path, ("a", "k", None), ("a", "never there", None))
    assert {"a": [("l", "text")]} == await rows_in(path)


async def test_row_written_again_comes_last(path: Path) -> None:
    await write(path, ("a", "k", "1"), ("a", "l", "2"))
    await write(path, ("a", "k", "3"))
    await write(path, ("a", "m", "4"), ("a", "l", "5"), ("a", "m", "6"))
    assert {"a": [("k", "3"), ("l", "5"), ("m", "6")]} == await rows_in(path)


@given(st.dictionaries(st.text(), st.text(st.characters()), max_size=5))
@settings(max_examples=20, deadline=None)
def test_any_text_is_kept_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("state") / "state.db"
    texts |= {"\0": "\0", "\ud800": "lone \udc00 surrogate", "": "ä漢🎉"}

    async def go() -> Rows:
        await write(path, *(("s", key, text) for key, text in texts.items()))
        return await rows_in(path)

    assert {"s": list(texts.items())} == asyncio.run(go())


async def test_file_and_folder_are_for_their_owner_alone(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o755)
    path.touch(mode=0o644)
    async with opened(path) as (state, _):
        state.set("a", "k", "text")
        log = Path(f"{path}-wal")
        await until(log.exists)
        modes = [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path, log)]
    assert [0o700, 0o600, 0o600] == modes


async def until(is_true: Any) -> None:
    async with asyncio.timeout(20):
        while not is_true():
            await asyncio.sleep(0.02)


WRITER = """
import asyncio, sys, time
from pathlib import Path
from llmproxyd.service.state import StateFile
async def main():
    state = StateFile(Path(sys.argv[1]), None)
    await state.open()
    for index in range(10 ** 6):
        state.set("s", f"k{index}", str(time.monotonic()))
        state.set("s", f"k{index - 100}", None)
        print(time.monotonic(), flush=True)
        await asyncio.sleep(0.001)
asyncio.run(main())
"""


async def test_kill_loses_a_second_at_most(path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    lines = [await asyncio.to_thread(writer.stdout.readline) for _ in range(1500)]
    writer.kill()
    last_set_s = float(lines[-1])
    writer.wait()
    writer.stdout.close()
    rows = (await rows_in(path))["s"]
    assert len(rows) in (100, 101)  # a batch may end between the two
    # On a machine this busy the commit itself may wait for a CPU.
    assert last_set_s - float(rows[-1][1]) < module._BATCH_S + 0.5


async def test_long_text_does_not_stay_in_the_log(path: Path) -> None:
    async with opened(path) as (state, _):
        state.set("s", "k", "x" * (16 << 20))
        await until(lambda: path.stat().st_size > 16 << 20)
        state.set("s", "l", "x")
        await until(lambda: Path(f"{path}-wal").stat().st_size <= 4 << 20)


async def test_file_beyond_its_bounds_is_read_and_kept_only_so_far(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(path, *(("s", f"k{index}", "x" * 100) for index in range(20)))
    monkeypatch.setattr(module, "_LOAD_MAX_ROWS", 10)
    newest = [(f"k{index}", "x" * 100) for index in range(10, 20)]
    assert {"s": newest} == await rows_in(path)
    monkeypatch.setattr(module, "_LOAD_MAX_ROWS", 1000)
    assert {"s": newest} == await rows_in(path)
    monkeypatch.setattr(module, "_LOAD_MAX_BYTES", 350)
    assert {"s": newest[-3:]} == await rows_in(path)


# ---- files that can not be used
async def refused(path: Path) -> str:
    """Open what can not be opened, use it all the same; the one reason that was logged."""
    log = Warnings()
    async with opened(path, log) as (state, rows):
        assert {} == rows
        state.set("s", "k", "text")
        assert {} == state._pending
    assert [str(path)] == [fields["path"] for fields in log.fields]
    return log.reasons[0]


def damaged(path: Path) -> None:
    """Make a file with rows, then break it in the middle."""
    asyncio.run(write(path, *(("s", f"k{index}", "x" * 5000) for index in range(50))))
    content = bytearray(path.read_bytes())
    content[4096:200_000] = os.urandom(200_000 - 4096)
    path.write_bytes(content)


def garbage(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database at all" * 1000)


def half(path: Path) -> None:
    asyncio.run(write(path, *(("s", f"k{index}", "x" * 5000) for index in range(50))))
    os.truncate(path, 50_000)


def no_text(path: Path) -> None:
    asyncio.run(write(path, ("s", "k", "text")))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE rows SET text = x'ff'")


@pytest.mark.parametrize("damage", [damaged, garbage, half, no_text])
def test_damaged_file_is_moved_aside_for_a_new_one(path: Path, damage: Any) -> None:
    damage(path)
    before = path.read_bytes()
    aside = path.with_name("state.db.damaged")
    log = Warnings()

    async def go() -> Rows:
        async with opened(path, log) as (state, rows):
            assert {} == rows
            state.set("s", "new", "text")
        return await rows_in(path)

    assert {"s": [("new", "text")]} == asyncio.run(go())
    assert 1 == len(log.reasons)
    assert log.reasons[0].endswith(f"it is now {aside}")
    assert before == aside.read_bytes()


async def test_damaged_file_that_can_not_be_moved_is_left(path: Path) -> None:
    garbage(path)
    (path.parent / "state.db.damaged").mkdir()
    log = Warnings()
    async with opened(path, log) as (_, rows):
        assert {} == rows
    assert all("it stays where it is" in reason for reason in log.reasons)


async def test_damage_that_shows_later_is_moved_aside_too(path: Path) -> None:
    log = Warnings()
    async with opened(path, log) as (state, _):
        await until(lambda: path.stat().st_size > 0)
        for file in (path, Path(f"{path}-wal")):
            file.write_bytes(os.urandom(8192))
        state.set("s", "k", "text")
        await until(lambda: log.reasons)
    assert log.reasons[0].endswith("state.db.damaged")
    assert {} == await rows_in(path)


@pytest.mark.parametrize(
    "statement", ["PRAGMA user_version = 2", "PRAGMA application_id = 7", "CREATE TABLE t (x)"]
)
async def test_foreign_file_is_left_as_it_is(path: Path, statement: str) -> None:
    if not statement.startswith("CREATE"):
        await write(path, ("s", "k", "text"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)
    before = path.read_bytes()
    assert module._FOREIGN == await refused(path)
    assert before == path.read_bytes()


async def test_locked_file_is_not_waited_for(path: Path) -> None:
    await write(path, ("s", "k", "text"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "database is locked" == await refused(path)


async def test_file_locked_later_is_given_up(path: Path) -> None:
    log = Warnings()
    async with opened(path, log) as (state, _):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            state.set("s", "k", "text")
            await until(lambda: log.reasons)
        state.set("s", "k", "text")
        assert {} == state._pending
    assert ["database is locked"] == log.reasons


async def test_two_daemons_can_share_the_file(path: Path) -> None:
    async with opened(path) as (one, _), opened(path) as (two, _):
        one.set("s", "k", "1")
        two.set("s", "l", "2")
    assert [("k", "1"), ("l", "2")] == sorted((await rows_in(path))["s"])


async def test_link_in_place_of_the_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "elsewhere")
    await refused(path)
    assert not (tmp_path / "elsewhere").exists()


async def test_folder_in_place_of_the_file(path: Path) -> None:
    path.mkdir(parents=True)
    assert "Is a directory" in await refused(path)


async def test_file_in_place_of_the_folder(path: Path) -> None:
    path.parent.parent.mkdir()
    path.parent.touch()
    await refused(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_read_only_folder(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o500)
    assert "Permission denied" in await refused(path)
    assert 0o500 == stat.S_IMODE(path.parent.stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_folder_of_another_user(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.chown(path.parent, 12345, -1)
    assert "it belongs to uid 12345" == await refused(path)


@pytest.mark.parametrize("fails_at_last", [False, True])
async def test_disk_that_hangs_does_not_hold_up_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, fails_at_last: bool
) -> None:
    if not fails_at_last:
        path.parent.mkdir(parents=True)
    hanging = threading.Event()
    monkeypatch.setattr(module, "_OPEN_S", 0.1)
    monkeypatch.setattr(module, "_CLOSE_S", 0.1)
    monkeypatch.setattr(module, "_prepare", lambda path: hanging.wait())
    reason = await refused(path)
    hanging.set()
    await until(lambda: "state file" not in [thread.name for thread in threading.enumerate()])
    assert "it took longer than 0.1 s to read" == reason
