from __future__ import annotations

import asyncio
import gc

import pytest

from llmproxyd.service.tasks import Tasks
from tests.fakes.control_host import Events


@pytest.fixture
def log():
    return Events()


@pytest.fixture
async def tasks(log):
    tasks = Tasks(log)
    yield tasks
    await tasks.close()


async def test_a_task_that_nobody_holds_ends_all_the_same(tasks):
    gate, ended = asyncio.Event(), asyncio.Event()

    async def work():
        await gate.wait()
        ended.set()

    tasks.spawn(work(), name="work")
    await asyncio.sleep(0)
    gc.collect()
    gate.set()
    await asyncio.wait_for(ended.wait(), 5)


async def test_the_result_of_a_task_can_be_awaited(tasks):
    async def work():
        return 7

    assert 7 == await tasks.spawn(work(), name="work")


async def test_a_failure_is_logged_with_the_name_of_the_task(tasks, log):
    error = RuntimeError("boom")

    async def work():
        raise error

    await asyncio.wait([tasks.spawn(work(), name="sweeper")])
    await asyncio.sleep(0)
    assert [("task_failed", {"task": "sweeper", "exc_info": error})] == log.seen


async def test_a_cancelled_task_is_no_failure(tasks, log):
    task = tasks.spawn(asyncio.Event().wait(), name="work")
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert [] == log.seen


async def test_close_cancels_what_runs_and_waits_for_its_cleanup(tasks):
    cleaned = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    tasks.spawn(work(), name="work")
    await asyncio.sleep(0)
    await tasks.close()
    assert ["up"] == cleaned


async def test_close_also_ends_what_a_task_starts_while_it_is_cancelled(tasks):
    ends = []

    async def late():
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("late")

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            tasks.spawn(late(), name="late")
            await asyncio.sleep(0)

    tasks.spawn(work(), name="work")
    await asyncio.sleep(0)
    await tasks.close()
    assert ["late"] == ends


async def test_close_without_tasks_is_fine(tasks):
    await tasks.close()
