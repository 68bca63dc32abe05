"""The swap."""

from __future__ import annotations

from llmproxyd.reload.store import SnapshotStore
from tests.reload.worlds import snapshot


def test_replacing_swaps_the_reference_and_gives_back_the_old_one() -> None:
    old, new = snapshot(), snapshot(generation=2)
    store = SnapshotStore(old)
    held = store.current
    assert store.replace(new) is old
    assert store.current is new
    assert held is old
