"""Events keep their bytes while they say the same."""

from __future__ import annotations

import json

import pytest

from llmproxyd.dialects.anthropic.source import frame_of, remember, source_of
from llmproxyd.wire.sse import parse_event

RAW = b'event: ping\ndata: {"type": "ping"}\n\n'


def heard(raw: bytes = RAW):
    source = parse_event(raw)
    return remember(json.loads(source.data), source)


def test_unchanged_event_goes_out_in_its_own_bytes():
    assert frame_of(heard()).wire == RAW
    assert frame_of({**heard()}).wire == RAW
    assert frame_of({"type": "ping", **source_of(heard())}).wire == RAW


def test_changed_event_is_framed_anew():
    frame = frame_of({**heard(), "index": 1})
    assert frame.wire == b'event: ping\ndata: {"type":"ping","index":1}\n\n'


@pytest.mark.parametrize("raw", [b'data: {"type": "ping"}\n\n', RAW[:-1]])
def test_bytes_that_are_no_whole_event_are_framed_anew(raw):
    assert frame_of(heard(raw)).wire == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_event_that_came_from_nowhere_carries_nothing():
    assert source_of({"type": "ping"}) == {}
    assert frame_of({"type": "ping"}).data == b'{"type":"ping"}'
