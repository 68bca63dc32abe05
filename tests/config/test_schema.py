"""The structs themselves."""

from __future__ import annotations

import pytest

from llmproxyd.config.schema import Config, SecretRef


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        (SecretRef(env="KEY"), "SecretRef(env='KEY')"),
        (SecretRef(file="~/key"), "SecretRef(file='~/key')"),
        (SecretRef(literal="sk-canary"), "SecretRef(literal)"),
    ],
)
def test_secret_reference_shows_its_source_and_never_the_key(ref: SecretRef, expected: str) -> None:
    assert expected == repr(ref)


def test_nothing_configured_is_loopback_and_the_default_backend() -> None:
    config = Config()
    assert ("localhost", 8000, None, ()) == (
        config.server.host,
        config.server.port,
        config.backend,
        config.fallback,
    )
