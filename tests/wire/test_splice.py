from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.wire.splice import Member, find_members, splice

KEYS = st.sampled_from(["model", "a", "b", 'q"uote', "mödel", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
SPACE = st.text(" \t\r\n", max_size=2)


@st.composite
def objects(draw):
    """Pairs of (key text, value text), and white space to put everywhere between."""
    pairs = []
    for key, value in draw(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=6)):
        ascii_only = draw(st.booleans())
        key_text = json.dumps(key, ensure_ascii=ascii_only)
        if key == "model" and draw(st.booleans()):
            key_text = '"m\\u006fdel"'
        pairs.append((key, key_text, json.dumps(value, ensure_ascii=ascii_only)))
    return pairs, draw(SPACE), draw(SPACE)


def render(pairs, before, after):
    members = [f"{before}{key}{after}:{before}{value}{after}" for _, key, value in pairs]
    return (after + "{" + ",".join(members) + "}" + before).encode()


@settings(max_examples=150)
@given(objects())
def test_only_the_top_level_values_named_are_replaced(drawn):
    pairs, before, after = drawn
    raw = render(pairs, before, after)
    expected = render(
        [(key, text, '"NEW"' if key == "model" else value) for key, text, value in pairs],
        before,
        after,
    )

    assert expected == splice(raw, {"model": b'"NEW"'})


@settings(max_examples=150)
@given(objects())
def test_removed_members_are_gone_and_the_others_keep_their_text(drawn):
    pairs, before, after = drawn
    raw = render(pairs, before, after)

    spliced = splice(raw, {"model": None})

    kept = [pair for pair in pairs if pair[0] != "model"]
    assert json.loads(render(kept, before, after) if kept else b"{}") == json.loads(spliced)
    assert all(f"{text}{after}:{before}{value}".encode() in spliced for _, text, value in kept)


@settings(max_examples=100)
@given(objects())
def test_members_cover_keys_and_values(drawn):
    pairs, before, after = drawn
    raw = render(pairs, before, after)

    found = [(member.key, raw[member.value : member.end].decode()) for member in find_members(raw)]

    assert [(key, value) for key, _, value in pairs] == found


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a":1}', b'{"a":1}'),
        (b'{"n":12,"n":1}', b'{"n":0,"n":0}'),
        (b'{"n":1,"n":12}', b'{"n":0,"n":0}'),
        (b'{"n":"x","n":[1,{"n":2}],"m":"n"}', b'{"n":0,"n":0,"m":"n"}'),
        (b'{"a":"\\ud800","n":[{"n":"]}"}]}', b'{"a":"\\ud800","n":0}'),  # a lone surrogate
        (b'{"\\ud800":true,"n":null}', b'{"\\ud800":true,"n":0}'),
        (b'{"\xff":true,"n":null}', b'{"\xff":true,"n":0}'),  # not UTF-8
        (b'{"a":{"n":5},"n" : "\\"n\\":1"}', b'{"a":{"n":5},"n" : 0}'),
        (b'{"a":[[],{}],"n":-1.5e3 }', b'{"a":[[],{}],"n":0 }'),
    ],
)
def test_unusual_objects(raw, expected):
    assert expected == splice(raw, {"n": b"0"})


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{ "a" : 1 , "b" : 2 , "c" : 3 }', b'{ "a" : 1 , "c" : 3 }'),
        (b'{"b":2}', b"{}"),
        (b'{"b":2,"a":1}', b'{"a":1}'),
        (b'{"a":1,"b":2}', b'{"a":1}'),
        (b'{"b":1,"b":2,"c":3}', b'{"c":3}'),
    ],
)
def test_removal_leaves_valid_json(raw, expected):
    assert expected == splice(raw, {"b": None})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[1]",
        b'"n"',
        b"{",
        b"{}",
        b'{"n"',
        b'{"n":',
        b'{"n":}',
        b'{"n":[1',
        b'{"n":1',
        b"\xff",
        b'{"n":1 2}',
        b"[" * 5000,
    ],
)
def test_what_is_no_object_stays_as_it_is(raw):
    assert raw == splice(raw, {"n": b"0"})


@given(st.binary(max_size=40))
def test_garbage_is_no_failure(raw):
    splice(raw, {"n": b"0"})
    splice(b'{"n":' + raw, {"n": b"0"})


def test_a_member_tells_where_it_stands():
    assert [Member("k", 2, 8, 10)] == list(find_members(b'{ "k" : [] }'))
