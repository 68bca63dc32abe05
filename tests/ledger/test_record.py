"""The record of a request as a log line."""

from __future__ import annotations

from llmproxyd.ledger.record import Record
from llmproxyd.wire.usage import Usage


def record(**fields) -> Record:
    return Record(
        **{"request_id": "req_1", "started_s": 1.0, "model": "m", "is_stream": True} | fields
    )


def test_line_names_what_is_known_and_leaves_out_the_rest():
    assert record(backend="b", upstream_model="u", attempts=1).fields(1.5) == {
        "request_id": "req_1",
        "path": "/v1/messages",
        "backend": "b",
        "model": "m",
        "upstream_model": "u",
        "result": "ok",
        "status": 200,
        "stream": True,
        "attempts": 1,
        "latency_ms": 500.0,
    }


def test_line_holds_tokens_time_to_first_frame_and_what_went_wrong():
    fields = record(
        first_frame_s=1.25,
        usage=Usage(10, 20, 30, is_estimated=True),
        session="s",
        upstream_request_id="up",
        error="down",
        notes=("dropped:foo",),
    ).fields(2.0)
    assert fields["ttft_ms"] == 250.0
    assert (fields["input_tokens"], fields["output_tokens"]) == (10, 20)
    assert fields["cache_read_tokens"] == 30
    assert fields["estimated"] is True
    assert (fields["session"], fields["upstream_request_id"]) == ("s", "up")
    assert (fields["error"], fields["notes"]) == ("down", ["dropped:foo"])


def test_exact_usage_is_not_marked():
    assert "estimated" not in record(usage=Usage(1, 1)).fields(2.0)
