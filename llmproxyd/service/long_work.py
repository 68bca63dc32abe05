"""Work on long requests, beside the event loop.

Decoding and translating takes 10 ms a megabyte and more; inline, every other stream would stand
still for that long. A thread does not make it faster, since both share the interpreter's lock, but
the loop gets its turns in between. One thread for all: each further one would be another that the
loop has to wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

# Below it the work takes less than the 2 or 3 ms that another stream can wait for.
LONG_BYTES: Final = 256 * 1024

Result = TypeVar("Result")
Given = TypeVarTuple("Given")


class LongWork:
    """The thread, and the choice who goes there. The thread starts with the first long work."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="long work")

    async def run(
        self, size_bytes: int, work: Callable[[*Given], Result], *given: *Given
    ) -> Result:
        """What `work(*given)` returns or raises.

        Args:
            size_bytes: of what it goes over.
            work: shares nothing with other code that is not safe to share. If its caller is
                cancelled, it still runs to its end, or is never begun.
            given: to it.
        """
        if size_bytes < LONG_BYTES:
            return work(*given)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)
