"""Did-you-mean."""

from __future__ import annotations

import pytest

from llmproxyd.config.suggest import did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("cerebas", ("cerebras", "vast"), 'did you mean "cerebras"?'),
        ("apiKey", ("api_key", "url"), 'did you mean "api_key"?'),
        ("MODEL", ("model", "models"), 'did you mean "model"?'),
        ("xyzzy", ("host", "port"), "known: host, port"),
        ("xyzzy", (), ""),
    ],
)
def test_nearest_name_is_suggested_or_all_are_listed(
    word: str, known: tuple[str, ...], expected: str
) -> None:
    assert expected == did_you_mean(word, known)


def test_a_long_list_is_cut() -> None:
    hint = did_you_mean("xyzzy", (f"backend{n}" for n in range(30)))
    assert hint.endswith("backend19, …")
