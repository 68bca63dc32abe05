import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.ledger.calibration import MAX_KEYS, Calibration

KEY = ("home", "qwen3")


def learned(*pairs: tuple[int, int]) -> float | None:
    calibration = Calibration()
    for real, raw in pairs:
        calibration.observe(KEY, real, raw)
    return calibration.scale(KEY)


def test_nothing_is_known_before_the_first_answer() -> None:
    assert learned() is None


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(1200, 1000)], 1.2),
        ([(1200, 1000), (1000, 1000)], 1.2 - 0.2 * 0.2),
        ([(1000, 1000), (9000, 1000)], 1.0 + 0.2 * 1.0),  # an outlier counts as 2.0
        ([(9000, 1000)], 2.0),
        ([(1000, 9000)], 0.5),
        ([(500, 500)], 1.0),
    ],
)
def test_newest_answer_weighs_a_fifth(pairs: list[tuple[int, int]], expected: float) -> None:
    assert expected == pytest.approx(learned(*pairs))


@pytest.mark.parametrize("pair", [(499, 500), (0, 500), (5000, 0), (5000, -1)])
def test_small_prompts_and_missing_estimates_teach_nothing(pair: tuple[int, int]) -> None:
    assert learned(pair) is None


def test_models_and_backends_are_learned_apart() -> None:
    calibration = Calibration()
    calibration.observe(("a", "m"), 1500, 1000)
    calibration.observe(("b", "m"), 800, 1000)
    assert (1.5, 0.8) == (calibration.scale(("a", "m")), calibration.scale(("b", "m")))
    assert calibration.scale(("a", "n")) is None


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-5, 10**6))))
def test_factor_stays_in_range(pairs: list[tuple[int, int]]) -> None:
    scale = learned(*pairs)
    assert scale is None or 0.5 - 1e-9 <= scale <= 2.0 + 1e-9


def journaling(journal: dict[str, str | None]) -> Calibration:
    return Calibration(journal.__setitem__)


def test_what_the_journal_was_told_restores_the_factors() -> None:
    journal: dict[str, str | None] = {}
    before = journaling(journal)
    before.observe(("a", "m"), 1500, 1000)
    before.observe(("a", "org/n:free"), 700, 1000)
    before.observe(("a", "org/n:free"), 800, 1000)
    after = Calibration()
    after.restore((name, factor) for name, factor in journal.items() if factor is not None)
    for key in (("a", "m"), ("a", "org/n:free")):
        assert before.scale(key) is not None
        assert before.scale(key) == after.scale(key)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [("0.7", 0.7), ("50", 2.0), ("0", 0.5), ("nan", 0.5), ("many", None), ("", None)],
)
def test_restored_factor_is_clamped_or_left_out(factor: str, expected: float | None) -> None:
    calibration = Calibration()
    calibration.restore([("a\0m", factor)])
    assert expected == calibration.scale(("a", "m"))


def test_made_up_names_push_out_the_ones_not_used_longest() -> None:
    journal: dict[str, str | None] = {}
    calibration = journaling(journal)
    calibration.observe(("a", "stale"), 1000, 1000)
    calibration.observe(("a", "used"), 1000, 1000)
    for index in range(MAX_KEYS - 1):
        calibration.observe(("a", "used"), 1000, 1000)
        calibration.observe(("a", f"m{index}"), 1000, 1000)
    assert MAX_KEYS == sum(factor is not None for factor in journal.values())
    assert calibration.scale(("a", "stale")) is journal["a\0stale"] is None
    assert calibration.scale(("a", "used")) == 1.0


def test_more_factors_than_fit_are_not_restored() -> None:
    journal: dict[str, str | None] = {}
    calibration = journaling(journal)
    calibration.restore((f"a\0m{index}", "1.5") for index in range(MAX_KEYS + 1))
    assert {"a\0m0": None} == journal
    assert (None, 1.5) == (calibration.scale(("a", "m0")), calibration.scale(("a", "m1")))
