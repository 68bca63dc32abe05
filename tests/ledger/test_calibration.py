import msgspec
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


def test_export_survives_json_and_restores() -> None:
    before = Calibration()
    before.observe(("a", "m"), 1500, 1000)
    before.observe(("a", "n"), 800, 1000)
    before.observe(("b", "m"), 600, 1000)
    after = Calibration()
    after.restore(msgspec.json.decode(msgspec.json.encode(before.export())))
    assert {"a": {"m": 1.5, "n": 0.8}, "b": {"m": 0.6}} == after.export() == before.export()


def test_restoring_clamps_and_never_undoes_what_was_learned() -> None:
    calibration = Calibration()
    calibration.observe(("a", "m"), 1500, 1000)
    calibration.restore({"a": {"m": 0.7, "high": 50.0, "low": 0.0}})
    assert {"a": {"m": 1.5, "high": 2.0, "low": 0.5}} == calibration.export()


def test_made_up_names_push_out_the_ones_not_used_longest() -> None:
    calibration = Calibration()
    calibration.observe(("a", "stale"), 1000, 1000)
    calibration.observe(("a", "used"), 1000, 1000)
    for index in range(MAX_KEYS - 1):
        calibration.observe(("a", "used"), 1000, 1000)
        calibration.observe(("a", f"m{index}"), 1000, 1000)
    assert len(calibration.export()["a"]) == MAX_KEYS
    assert calibration.scale(("a", "stale")) is None
    assert calibration.scale(("a", "used")) == 1.0
