"""Every input that the fuzzer has found worth keeping still holds the invariants."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.invariants import CHECKS, check

CORPUS = sorted(path for path in (Path(__file__).parent / "corpus").iterdir())


def test_corpus_reaches_every_decoder() -> None:
    assert set(range(len(CHECKS))) == {path.read_bytes()[0] % len(CHECKS) for path in CORPUS}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_kept_input_holds_the_invariants(path: Path) -> None:
    check(path.read_bytes())
