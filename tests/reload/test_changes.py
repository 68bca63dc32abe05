"""What a reload changed, in words."""

from __future__ import annotations

import pytest

from llmproxyd.reload.changes import changes, restart_keys
from tests.reload.worlds import ENV, parsed, snapshot

X = "[backends.x]\ntype = 'saas'\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", ()),
        (X, f"backend = 'x'\n{X}", ("backend: genuine -> x",)),
        (X, f"backend = 'genuine'\n{X}", ()),
        (X, f"fallback = ['x', 'genuine']\n{X}", ("fallback: none -> x, genuine",)),
        (f"fallback = ['x']\n{X}", X, ("fallback: x -> none",)),
        ("", "server.port = 9", ("server.port: 8000 -> 9",)),
        ("", "server.drain_timeout = '1m'", ("server.drain_timeout: 30.0 -> 60.0",)),
        ("log.level = 'debug'", "", ("log.level: debug -> info",)),
        ("", X, ("backends.x added",)),
        (X, "", ("backends.x removed",)),
        (X, X.replace("x]", "'x y']"), ("backends.x removed", 'backends."x y" added')),
        ("", "[backends.genuine]\ntype = 'genuine'", ()),
        (X, f"{X}url = 'https://canary'", ("backends.x.url changed",)),
        (
            f"{X}models.a = '1'",
            f"{X}models.a = '2'\nmodels.'b*' = '1'",
            ("backends.x.models.a changed", 'backends.x.models."b*" changed'),
        ),
        (f"{X}limits.m.vision = true", X, ("backends.x.limits.m.vision changed",)),
        (f"{X}timeouts.idle = 1", X, ("backends.x.timeouts.idle changed",)),
        (
            f"{X}quirks.top_k = true",
            f"{X}quirks.top_k = false",
            ("backends.x.quirks.top_k changed",),
        ),
        (f"{X}api_key = 'canary-1'", f"{X}api_key = 'canary-2'", ("backends.x.api_key changed",)),
        (X, f"{X}api_key = {{ env = 'OTHER_KEY' }}", ("backends.x.api_key changed",)),
    ],
)
def test_differences_are_named_and_no_secret_shown(
    old: str, new: str, expected: tuple[str, ...]
) -> None:
    found = changes(snapshot(old), snapshot(new))
    assert expected == found
    assert "canary" not in str(found)


def test_new_key_behind_the_same_reference_is_a_change() -> None:
    found = changes(snapshot(X), snapshot(X, ENV | {"SAAS_KEY": "canary"}))
    assert ("backends.x.api_key changed",) == found


def test_override_is_a_change_of_backend() -> None:
    assert ("backend: genuine -> x",) == changes(snapshot(X), snapshot(X, override="x"))


@pytest.mark.parametrize(
    ("started", "now", "expected"),
    [
        ("", "", ()),
        ("", "server.port = 9\nserver.host = '::1'", ("server.host", "server.port")),
        ("server.port = 0", "server.port = 0", ()),
        ("", "log.format = 'json'\nlog.level = 'debug'", ("log.level", "log.format")),
        ("", f"server.max_body = '1MiB'\nbackend = 'x'\n{X}", ()),
    ],
)
def test_what_waits_for_a_restart_is_named(
    started: str, now: str, expected: tuple[str, ...]
) -> None:
    assert expected == restart_keys(parsed(started).config, parsed(now).config)
