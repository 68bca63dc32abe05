"""Names and ids of tools as backends accept them (1.3.7, 1.5)."""

from __future__ import annotations

import hashlib
import re

import pytest

from llmproxyd.dialects.openai_chat.tool_names import CallIds, upstream_id, upstream_name


def digest(given):
    return hashlib.sha256(given.encode()).hexdigest()


@pytest.mark.parametrize("name", ["Bash", "mcp__server__tool-1", "n" * 64])
def test_legal_names_are_kept(name):
    assert name == upstream_name(name)


@pytest.mark.parametrize(
    ("name", "start"),
    [("n" * 80, "n" * 55), ("a.b/c", "a_b_c"), ("é" * 60, "_" * 55), ("", ""), ("a\n", "a_")],
)
def test_r16_other_names_are_made_legal_and_end_in_their_hash(name, start):
    assert f"{start}_{digest(name)[:8]}" == upstream_name(name)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", upstream_name(name))


@pytest.mark.parametrize(
    ("tool_id", "max_chars", "expected"),
    [
        ("toolu_1", 64, "toolu_1"),
        ("x" * 64, 64, "x" * 64),
        ("x" * 65, 64, "call_" + digest("x" * 65)[:24]),
        ("functions.Bash:0", 64, "call_" + digest("functions.Bash:0")[:24]),
        ("toolu_123456", 9, digest("toolu_123456")[:9]),
        ("x" * 65, 20, "call_" + digest("x" * 65)[:15]),
        ("", 64, "call_" + digest("")[:24]),
    ],
)
def test_ids_are_kept_or_hashed(tool_id, max_chars, expected):
    assert expected == upstream_id(tool_id, max_chars)


def assigned(*tool_ids, max_chars=64):
    ids = CallIds(max_chars)
    return [ids.assign(tool_id) for tool_id in tool_ids]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a_2", "a_3"]),
        (["a", "a_2", "a"], ["a", "a_2", "a_3"]),
        (["a", "a", "a_2"], ["a", "a_2", "a_2_2"]),
    ],
)
def test_repeated_ids_get_a_suffix(given, expected):
    assert expected == assigned(*given)


def test_ids_do_not_depend_on_later_calls():
    given = ["a", "a", "a_2", "b", "a"]
    assert assigned(*given)[:3] == assigned(*given[:3])


def test_short_ids_do_not_run_out():
    ids = assigned(*["call_0"] * 100, max_chars=1)
    assert 100 == len(set(ids))
    assert all(len(tool_id) <= 8 for tool_id in ids)
