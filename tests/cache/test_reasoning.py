import sys
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.cache.reasoning import ReasoningCache
from llmproxyd.spi import ReasoningStore


def test_text_is_found_under_its_key_and_nothing_else_is() -> None:
    store: ReasoningStore = ReasoningCache()
    store.put("llmproxyd.abc", "because")
    assert store.get("llmproxyd.abc") == "because"
    assert store.get("llmproxyd.xyz") is None


def test_empty_text_is_a_text() -> None:
    store = ReasoningCache()
    store.put("k", "")
    assert store.get("k") == ""


def test_entry_used_longest_ago_gives_way() -> None:
    store = ReasoningCache(max_entries=2)
    store.put("a", "1")
    store.put("b", "2")
    store.get("a")
    store.put("c", "3")
    assert ("1", None, "3") == (store.get("a"), store.get("b"), store.get("c"))


def test_size_is_bounded_by_memory() -> None:
    store = ReasoningCache(max_bytes=10_000)
    for index in range(100):
        store.put(f"k{index}", "x" * 1_000)
    assert store.size_bytes <= 10_000
    assert store.get("k99") is not None
    assert store.get("k0") is None


def test_text_larger_than_the_store_is_not_kept_and_pushes_nothing_out() -> None:
    store = ReasoningCache(max_bytes=10_000)
    store.put("small", "x")
    store.put("huge", "x" * 10_000)
    assert ("x", None) == (store.get("small"), store.get("huge"))


def test_new_text_replaces_the_old_one_even_when_it_is_too_large_itself() -> None:
    store = ReasoningCache(max_bytes=10_000)
    store.put("k", "old")
    store.put("k", "new")
    assert (1, "new") == (len(store), store.get("k"))
    store.put("k", "x" * 10_000)
    assert (0, 0) == (len(store), store.size_bytes)


def test_size_is_right_though_a_string_grows_when_it_is_encoded() -> None:
    store = ReasoningCache(max_entries=1)
    text = "ä" * 1_000
    store.put("k", text)
    text.encode()
    sys.intern(text)
    store.put("l", "")
    assert sys.getsizeof("l") + sys.getsizeof("") == store.size_bytes


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.text(max_size=40)), max_size=60))
def test_bounds_hold_and_what_is_kept_is_the_latest(puts: list[tuple[str, str]]) -> None:
    store = ReasoningCache(max_entries=4, max_bytes=500)
    latest: dict[str, str] = {}
    for key, text in puts:
        store.put(key, text)
        latest[key] = text
        assert len(store) <= 4
        assert 0 <= store.size_bytes <= 500
    for key, text in latest.items():
        assert store.get(key) in {text, None}


def test_what_the_journal_was_told_restores_the_store() -> None:
    journal: dict[str, str | None] = {}
    before = ReasoningCache(journal.__setitem__, max_entries=2)
    for key in "abc":
        before.put(key, key.upper())
    assert {"a": None, "b": "B", "c": "C"} == journal
    after = ReasoningCache()
    after.restore((key, text) for key, text in journal.items() if text is not None)
    assert (None, "B", "C") == tuple(map(after.get, "abc"))


def test_restoring_tells_the_journal_only_what_gives_way() -> None:
    journal: list[tuple[str, str | None]] = []
    store = ReasoningCache(lambda key, text: journal.append((key, text)), max_entries=2)
    store.restore([("a", "1"), ("b", "2"), ("c", "3")])
    assert [("a", None)] == journal
    assert (None, "2", "3") == tuple(map(store.get, "abc"))


def test_text_that_is_not_kept_leaves_the_journal_too() -> None:
    journal: dict[str, str | None] = {}
    store = ReasoningCache(journal.__setitem__, max_bytes=10_000)
    store.put("k", "x" * 10_000)
    assert {"k": None} == journal


def test_threads_can_share_it() -> None:
    store = ReasoningCache(max_entries=4)

    def hammer(seed: int) -> None:
        for index in range(3_000):
            store.put(f"k{(seed + index) % 8}", "x" * (index % 50))
            store.get(f"k{index % 8}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hammer, range(4)))
    assert 4 == len(store)
    kept = [key for key in map("k{}".format, range(8)) if store.get(key) is not None]
    sizes = [sys.getsizeof(key) + sys.getsizeof(store.get(key)) for key in kept]
    assert sum(sizes) == store.size_bytes
