import msgspec

from llmproxyd.ledger.counters import BackendCounts, Counters
from llmproxyd.wire.usage import Usage


def test_backend_that_was_never_used_counts_zero_and_is_not_listed() -> None:
    counters = Counters()
    assert BackendCounts() == counters.of("a")
    assert {} == counters.snapshot()


def test_answers_add_their_tokens_with_the_cached_ones_in_the_input() -> None:
    counters = Counters()
    usage = Usage(
        input_tokens=10,
        output_tokens=5,
        cache_read_input_tokens=100,
        cache_creation_input_tokens=20,
    )
    counters.succeeded("a", usage)
    counters.succeeded("a", usage)
    expected = BackendCounts(requests=2, input_tokens=260, output_tokens=10, cache_read_tokens=200)
    assert expected == counters.of("a")


def test_answer_without_usage_is_a_request_too() -> None:
    counters = Counters()
    counters.succeeded("a", None)
    assert BackendCounts(requests=1) == counters.of("a")


def test_failures_keep_the_last_error_and_a_run_that_a_success_ends() -> None:
    counters = Counters()
    counters.failed("a", "first")
    counters.failed("a", "second")
    expected = BackendCounts(requests=2, failures=2, failures_in_a_row=2, last_error="second")
    assert expected == counters.of("a")
    counters.succeeded("a")
    expected = BackendCounts(requests=3, failures=2, failures_in_a_row=0, last_error="second")
    assert expected == counters.of("a")


def test_refused_request_is_a_failure_that_shows_a_backend_well() -> None:
    counters = Counters()
    counters.failed("a", "down")
    counters.refused("a")
    expected = BackendCounts(requests=2, failures=2, failures_in_a_row=0, last_error="down")
    assert expected == counters.of("a")


def test_snapshot_holds_every_used_backend_and_does_not_change_later() -> None:
    counters = Counters()
    counters.succeeded("a")
    counters.failed("b", "down")
    before = counters.snapshot()
    counters.succeeded("a")
    assert {"a": 1, "b": 1} == {name: counts.requests for name, counts in before.items()}
    assert b'"last_error":"down"' in msgspec.json.encode(before)
