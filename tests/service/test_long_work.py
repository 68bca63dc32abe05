import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from llmproxyd.service.long_work import LONG_BYTES, LongWork


@pytest.mark.parametrize(("size_bytes", "is_inline"), [(LONG_BYTES - 1, True), (LONG_BYTES, False)])
async def test_long_work_leaves_the_thread_of_the_loop(size_bytes: int, is_inline: bool) -> None:
    worker = await LongWork().run(size_bytes, threading.current_thread)
    assert is_inline == (worker is threading.current_thread())


@pytest.mark.parametrize("size_bytes", [0, LONG_BYTES])
async def test_what_it_raises_is_raised(size_bytes: int) -> None:
    with pytest.raises(ZeroDivisionError):
        await LongWork().run(size_bytes, lambda: 1 // 0)


async def test_loop_has_its_turns_while_long_work_is_done() -> None:
    done = threading.Event()
    working = asyncio.ensure_future(LongWork().run(LONG_BYTES, lambda: done.wait(20)))
    await asyncio.sleep(0)
    done.set()
    assert await working


async def test_long_works_are_done_one_at_a_time_in_their_order() -> None:
    works = LongWork()
    order: list[tuple[int, str]] = []

    def work(number: int) -> Callable[[], None]:
        def run() -> None:
            order.append((number, "begun"))
            time.sleep(0.005)
            order.append((number, "done"))

        return run

    await asyncio.gather(*[works.run(LONG_BYTES, work(number)) for number in range(3)])
    assert [(number, what) for number in range(3) for what in ("begun", "done")] == order
