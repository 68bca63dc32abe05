"""Message ids are claimed once."""

from __future__ import annotations

from llmproxyd.cache.ids import RecentIds


def test_an_id_is_free_only_once():
    ids = RecentIds()
    assert [ids.claim("a"), ids.claim("b"), ids.claim("a")] == [True, True, False]


def test_the_oldest_ids_are_forgotten_first():
    ids = RecentIds(max_ids=2)
    for message_id in "abc":
        ids.claim(message_id)
    assert [ids.claim("b"), ids.claim("a")] == [False, True]
