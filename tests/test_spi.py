"""The small pure functions of the provider interface."""

from __future__ import annotations

import pytest

from llmproxyd.spi import (
    Backend,
    BackendEntry,
    Limits,
    Quirks,
    ResponseHead,
    Secret,
    versioned_url,
)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("http://h:1", "http://h:1/v1/messages"),
        ("http://h:1/", "http://h:1/v1/messages"),
        ("http://h:1/v1", "http://h:1/v1/messages"),
        ("http://h:1/openai/v1/", "http://h:1/openai/v1/messages"),
        ("http://h:1/v2", "http://h:1/v2/messages"),
        ("http://h:1/vault", "http://h:1/vault/v1/messages"),
        ("http://h:1/anthropic", "http://h:1/anthropic/v1/messages"),
    ],
)
def test_version_is_added_where_the_base_has_none(base, expected):
    assert versioned_url(base, "messages") == expected


def entry(**fields) -> BackendEntry:
    return BackendEntry(
        name="b", backend=Backend(kind="k", dialects=()), url="http://x", dialect=None, **fields
    )


def test_later_model_quirks_win_and_globs_ignore_case():
    quirks = entry(
        quirks=Quirks(top_k=True),
        model_quirks=(("gpt-*", {"vision": False}), ("GPT-oss*", {"vision": True, "pdf": True})),
    )
    assert quirks.quirks_of("gpt-oss-120b") == Quirks(top_k=True, vision=True, pdf=True)
    assert quirks.quirks_of("gpt-4") == Quirks(top_k=True, vision=False)
    assert quirks.quirks_of("llama") == Quirks(top_k=True)


def test_limits_of_a_model_replace_those_of_the_backend():
    limits = entry(limits=Limits(context_window=1), model_limits={"m": Limits(max_output=2)})
    assert limits.limits_of("m") == Limits(max_output=2)
    assert limits.limits_of("n") == Limits(context_window=1)


def test_secret_never_shows_its_value():
    secret = Secret("csk-value")
    assert "csk-value" not in f"{secret!r} {secret} {entry(secret=secret)!r}"


def test_head_gives_the_first_header_and_the_bare_media_type():
    head = ResponseHead(200, (("content-type", "Text/HTML; charset=x"), ("a", "1"), ("a", "2")))
    assert (head.header("a"), head.header("b")) == ("1", None)
    assert head.content_type == "text/html"
    assert ResponseHead(200).content_type == ""


def test_head_gives_the_most_telling_request_id_that_a_header_can_hold():
    ids = (("cf-ray", "ray"), ("x-litellm-call-id", "c\ud83eb\x00" + "x" * 300))
    assert ResponseHead(200, ids).request_id == "c?b?" + "x" * 196
    assert ResponseHead(200, ids[:1]).request_id == "ray"
    assert ResponseHead(200).request_id is None
