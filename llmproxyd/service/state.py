"""What the daemon has learned, in one SQLite file that survives it, `kill -9` included.

Rows of text under a shelf and a key. One thread does all the work on the file: it loads the rows
at the start, then writes what has changed since, in one transaction a batch. Nothing else ever
waits for the disk.

The file is a convenience. If it can not be read or written, one `state_unavailable` is logged and
the daemon goes on without it; a damaged file is moved aside first, for a new one.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Protocol

# By shelf: keys and texts, the one written longest ago first.
Rows = dict[str, list[tuple[str, str]]]

# What a kill can lose at most, the time of one commit aside.
_BATCH_S: Final = 0.5
_OPEN_S: Final = 5.0
_CLOSE_S: Final = 5.0
# How long another process may hold the file locked.
_LOCKED_S: Final = 1.0
_LOAD_MAX_ROWS: Final = 10_000
_LOAD_MAX_BYTES: Final = 128 * 1024 * 1024

_APPLICATION_ID: Final = 0x6C6C6D70  # "llmp"
_VERSION: Final = 1
_SCHEMA: Final = (
    "CREATE TABLE rows (number INTEGER PRIMARY KEY, shelf BLOB NOT NULL, key BLOB NOT NULL,"
    " text BLOB NOT NULL, UNIQUE (shelf, key))",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)
_NEWEST_FIRST: Final = (
    "SELECT number, CAST(shelf AS BLOB), CAST(key AS BLOB), CAST(text AS BLOB)"
    " FROM rows ORDER BY number DESC"
)
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FOREIGN: Final = "it belongs to another program, or another version of llmproxyd"


class Log(Protocol):
    """The part of a structlog logger that is used here; called from the thread of the file."""

    def warning(self, event: str, **fields: Any) -> None:
        """Log an event that somebody may want to look at."""
        ...


class StateFile:
    """Make one, `open` it, `set` what has changed, `close` it last."""

    def __init__(self, path: Path, log: Log) -> None:
        """`path`: of the file; its folder is made, both for their owner alone."""
        self._path = path
        self._log = log
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], str | None] = {}
        self._is_given_up = False
        self._has_work = threading.Event()
        self._is_closing = threading.Event()
        self._opened: Future[Rows] = Future()
        # A daemon thread: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="state file", daemon=True)

    async def open(self) -> Rows:
        """All rows; none when the file is unavailable, or takes too long."""
        self._thread.start()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._opened), _OPEN_S)
        except TimeoutError:
            self._give_up(f"it took longer than {_OPEN_S:g} s to read")
            return {}

    def set(self, shelf: str, key: str, text: str | None) -> None:
        """Write `text` soon; None deletes the row. From any thread; never waits."""
        with self._lock:
            if self._is_given_up:
                return
            self._pending.pop((shelf, key), None)  # its place is now behind all others
            self._pending[shelf, key] = text
        self._has_work.set()

    async def close(self) -> None:
        """Write what is left."""
        self._is_closing.set()
        self._has_work.set()
        await asyncio.to_thread(self._thread.join, _CLOSE_S)

    def _run(self) -> None:
        """The thread."""
        try:
            with closing(self._open()) as database:
                self._keep_writing(database)
        except (OSError, sqlite3.Error, ValueError) as error:
            self._give_up(f"{error}; {self._moved_aside()}" if _is_damage(error) else str(error))
        finally:
            if not self._opened.done():
                self._hand_over({})

    def _open(self) -> sqlite3.Connection:
        """Open the file and hand its rows over; with a new one if it is damaged."""
        _prepare(self._path)
        try:
            database, rows = _read(self._path)
        except (sqlite3.Error, ValueError) as error:
            if not _is_damage(error):
                raise
            self._warn(f"{error}; {self._moved_aside()}")
            _prepare(self._path)
            database, rows = _read(self._path)
        self._hand_over(rows)
        return database

    def _hand_over(self, rows: Rows) -> None:
        if self._opened.set_running_or_notify_cancel():  # or else nobody waits any more
            self._opened.set_result(rows)

    def _keep_writing(self, database: sqlite3.Connection) -> None:
        is_last = False
        while not (is_last or self._is_given_up):
            self._has_work.wait()
            is_last = self._is_closing.wait(_BATCH_S)
            self._has_work.clear()
            with self._lock:
                batch, self._pending = self._pending, {}
            _write(database, batch)

    def _give_up(self, reason: str) -> None:
        with self._lock:
            is_news, self._is_given_up = not self._is_given_up, True
            self._pending.clear()
        self._has_work.set()
        if is_news:
            self._warn(reason)

    def _warn(self, reason: str) -> None:
        self._log.warning("state_unavailable", path=str(self._path), reason=reason)

    def _moved_aside(self) -> str:
        """Rename the file, and the log that belongs to it, over any earlier ones; in words."""
        aside = self._path.with_name(f"{self._path.name}.damaged")
        try:
            for suffix in ("-shm", "-wal", ""):
                old, new = Path(f"{self._path}{suffix}"), Path(f"{aside}{suffix}")
                new.unlink(missing_ok=True)
                if old.exists():
                    old.rename(new)
        except OSError as error:
            return f"it stays where it is: {error}"
        return f"it is now {aside}"


def _is_damage(error: Exception) -> bool:
    """The content of the file is wrong, not the access to it."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, UnicodeDecodeError) or code & 0xFF in _DAMAGED


def _prepare(path: Path) -> None:
    """Make the folder and the file if they are missing; nobody else may look into them.

    Raises:
        OSError: something else is in the way, or belongs to somebody else.
    """
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _claim(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    _claim(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def _claim(fd: int) -> None:
    """Take the rights of all others off an open file or folder, and close it."""
    try:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid():
            raise PermissionError(f"it belongs to uid {found.st_uid}")
        if found.st_mode & 0o077:
            os.fchmod(fd, stat.S_IMODE(found.st_mode) & 0o700)
    finally:
        os.close(fd)


def _read(path: Path) -> tuple[sqlite3.Connection, Rows]:
    """A connection, and all rows.

    Raises:
        sqlite3.Error, ValueError: the file is damaged, foreign, locked or not writable.
    """
    database = sqlite3.connect(path, timeout=_LOCKED_S, isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")  # fails now, not later, where it can not be written
        _check(database)
        rows = _load(database)
        database.execute("COMMIT")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        # A log that a large batch has blown up shrinks again.
        database.execute("PRAGMA journal_size_limit = 4194304")
    except BaseException:
        database.close()
        raise
    return database, rows


def _check(database: sqlite3.Connection) -> None:
    """Make the table in an empty file; refuse one that is not ours."""
    kind = _number(database, "PRAGMA application_id"), _number(database, "PRAGMA user_version")
    is_empty = _number(database, "SELECT count(*) FROM sqlite_master") == 0
    if is_empty and kind == (0, 0):
        for statement in _SCHEMA:
            database.execute(statement)
    elif kind != (_APPLICATION_ID, _VERSION):
        raise ValueError(_FOREIGN)


def _number(database: sqlite3.Connection, query: str) -> int:
    (number,) = database.execute(query).fetchone()
    return int(number)


def _load(database: sqlite3.Connection) -> Rows:
    """The newest rows, as far as they are of a size that we would write; others are deleted."""
    newest_first: list[tuple[str, str, str]] = []
    size_bytes = 0
    found = database.execute(_NEWEST_FIRST)
    for number, *columns in found:
        size_bytes += sum(map(len, columns))
        if len(newest_first) == _LOAD_MAX_ROWS or size_bytes > _LOAD_MAX_BYTES:
            database.execute("DELETE FROM rows WHERE number <= ?", (number,))
            break
        shelf, key, text = (column.decode("utf-8", "surrogatepass") for column in columns)
        newest_first.append((shelf, key, text))
    rows: Rows = {}
    for shelf, key, text in reversed(newest_first):
        rows.setdefault(shelf, []).append((key, text))
    return rows


def _write(database: sqlite3.Connection, batch: dict[tuple[str, str], str | None]) -> None:
    """One transaction; a row that is written again moves to the end."""
    database.execute("BEGIN IMMEDIATE")
    for names, text in batch.items():
        shelf, key = map(_encoded, names)
        if text is None:
            database.execute("DELETE FROM rows WHERE shelf = ? AND key = ?", (shelf, key))
        else:
            row = shelf, key, _encoded(text)
            database.execute("REPLACE INTO rows (shelf, key, text) VALUES (?, ?, ?)", row)
    database.execute("COMMIT")


def _encoded(text: str) -> bytes:
    """As bytes: lone surrogates too, which SQLite's own text can not hold."""
    return text.encode("utf-8", "surrogatepass")
