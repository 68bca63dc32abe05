"""Signals of the daemon: TERM and INT drain, a second one ends at once, HUP reloads."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Action = Callable[[], None]


@contextmanager
def signal_handlers(*, drain: Action, stop_now: Action, reload: Action) -> Iterator[None]:
    """Call the actions from the running event loop for the length of the block.

    The first TERM or INT calls `drain`, each later one `stop_now`. After the block all three
    signals are ignored.
    """
    loop = asyncio.get_running_loop()
    terminations = iter([drain])

    def on_termination() -> None:
        next(terminations, stop_now)()

    actions = {
        signal.SIGTERM: on_termination,
        signal.SIGINT: on_termination,
        signal.SIGHUP: reload,
    }
    for number, action in actions.items():
        loop.add_signal_handler(number, action)
    try:
        yield
    finally:
        for number in actions:
            loop.remove_signal_handler(number)
            # The process is about to end well; a late signal must not make that a violent death.
            signal.signal(number, signal.SIG_IGN)
