"""Background tasks with an owner: kept alive, their failures logged, cancelled at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def error(self, event: str, **fields: Any) -> None:
        """Log a failure of ours."""
        ...


class Tasks:
    """The only place where tasks are made.

    A bare task can be garbage-collected while it runs, and hides its exception until then.

    Args:
        log: gets `task_failed` with the task's name and exception.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run it in the background; its result may be awaited, and need not be."""
        task = asyncio.create_task(coroutine, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        while running := tuple(self._running):
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("task_failed", task=task.get_name(), exc_info=error)
