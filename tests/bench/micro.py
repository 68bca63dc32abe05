#!/usr/bin/env python3
"""What the pure parts of the hot path cost, each by itself, in microseconds of CPU.

    python tests/bench/micro.py [--only WORD] [--seconds S] [--json]

The first row is a yardstick that has nothing to do with this project: divide by it to compare two
machines. Best and median of the repetitions; trust the best.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import timeit
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import bodies
import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmproxyd import registry
from llmproxyd.spi import (
    BackendEntry,
    Call,
    Exchange,
    Limits,
    ResponseHead,
    Target,
    UpstreamRequest,
)
from llmproxyd.wire.messages import parse_request
from llmproxyd.wire.sse import SSEDecoder

_DELTAS = 200
_REPETITIONS = 7
_TEXT = "The quick brown fox read"
_SSE = ResponseHead(200, (("content-type", "text/event-stream; charset=utf-8"),))
_HEADERS = (("x-api-key", "k"), ("anthropic-version", "2023-06-01"), ("host", "localhost"))
_JSON = ResponseHead(200, (("content-type", "application/json"),))


@dataclass(frozen=True)
class Case:
    """One thing to time: a call does `count` of `unit`."""

    name: str
    unit: str
    call: Callable[[], object]
    count: int = 1


def anthropic_stream() -> list[bytes]:
    """The events of one streamed Messages answer."""
    usage = {"input_tokens": 20123, "output_tokens": 1}
    message = {"id": "msg_bench", "type": "message", "role": "assistant", "content": []}
    message |= {"model": "claude-bench", "stop_reason": None, "usage": usage}
    block = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": _TEXT}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *[{"type": "content_block_delta", "index": 0, "delta": delta}] * _DELTAS,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": _DELTAS}},
        {"type": "message_stop"},
    ]
    return [b"event: %b\ndata: %b\n\n" % (e["type"].encode(), _dumps(e)) for e in events]


def openai_stream() -> list[bytes]:
    """The events of one streamed Chat Completions answer."""
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1750000000}
    head |= {"model": "gpt-bench", "system_fingerprint": "fp_bench"}
    usage = {"prompt_tokens": 20123, "completion_tokens": _DELTAS, "total_tokens": 20323}
    chunks = [
        _choice({"role": "assistant", "content": ""}),
        *[_choice({"content": _TEXT})] * _DELTAS,
        _choice({}, "stop"),
        {"choices": [], "usage": usage},
    ]
    return [b"data: %b\n\n" % _dumps(head | chunk) for chunk in chunks] + [b"data: [DONE]\n\n"]


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def anthropic_answer() -> bytes:
    """A Messages answer that is not streamed."""
    content = [{"type": "text", "text": _TEXT * 60}]
    answer = {"id": "msg_bench", "type": "message", "role": "assistant", "content": content}
    usage = {"input_tokens": 20123, "output_tokens": 300}
    answer |= {"model": "claude-bench", "stop_reason": "end_turn", "usage": usage}
    return _dumps(answer)


def openai_answer() -> bytes:
    """A Chat Completions answer that is not streamed."""
    message = {"role": "assistant", "content": _TEXT * 60}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 20123, "completion_tokens": 300, "total_tokens": 20423}
    answer = {"id": "chatcmpl-bench", "object": "chat.completion", "created": 1750000000}
    return _dumps(answer | {"model": "gpt-bench", "choices": [choice], "usage": usage})


@dataclass(frozen=True)
class Route:
    """A backend, and its answers to a request that streams and to one that does not."""

    name: str
    kind: str
    stream: list[bytes]
    answer: bytes
    model: str = "claude-bench"
    flags: dict[str, bool] = field(default_factory=dict)

    def call(self, size: str, *, stream: bool) -> Call:
        """A call as the pipeline makes it."""
        backend = registry.discover()[self.kind]
        quirks = backend.quirks.updated(self.flags)
        entry = BackendEntry(
            name="bench",
            backend=backend,
            url="http://127.0.0.1:1",
            dialect=backend.dialects[0],
            quirks=quirks,
        )
        return Call(
            request=parse_request(bodies.body(size, "claude-bench", stream=stream), _HEADERS),
            target=Target(entry=entry, model=self.model, quirks=quirks, limits=Limits()),
            dialect=backend.dialects[0],
            request_id="req_bench",
            entropy=lambda length: "0" * length,
            secrets=("sk-bench-0123456789",),
        )

    def exchange(self, size: str, *, stream: bool) -> Exchange:
        """The exchange of such a call."""
        call = self.call(size, stream=stream)
        return call.dialect.exchange(call)


def routes() -> list[Route]:
    """Pass-through, with another model's name, with repairs, and translation."""
    ours = (anthropic_stream(), anthropic_answer())
    return [
        Route("exact", "anthropic", *ours),
        Route("mapped", "anthropic", *ours, model="claude-other"),
        Route("repaired", "anthropic", *ours, flags={"repair": True}),
        Route("openai", "openai-compatible", openai_stream(), openai_answer(), model="gpt-bench"),
    ]


def encode(call: Call) -> UpstreamRequest | None:
    """The upstream request of a call."""
    return call.dialect.exchange(call).request


def decode(exchange: Exchange, head: ResponseHead, reads: list[bytes]) -> int:
    """Decode one answer; the number of frames."""
    decoder = exchange.decoder(head)
    count = sum(len(decoder.feed(data)) for data in reads) + len(decoder.end())
    if decoder.failure is not None:
        raise decoder.failure
    return count


def _joined(events: list[bytes], size: int) -> list[bytes]:
    return [b"".join(events[at : at + size]) for at in range(0, len(events), size)]


def _sse_only(reads: list[bytes]) -> None:
    decoder = SSEDecoder()
    for data in reads:
        decoder.feed(data)


def cases() -> Iterator[Case]:
    """The yardstick, then the rows in the order of a request's path."""
    body = bodies.body("100k", "claude-bench", stream=True)
    yield Case("yardstick: msgspec decode, 100k", "body", partial(msgspec.json.decode, body))
    for size in bodies.SIZES:
        raw = bodies.body(size, "claude-bench", stream=True)
        yield Case(f"parse_request, {size}", "request", partial(parse_request, raw))
    for route in routes():
        for size in bodies.SIZES:
            run = partial(encode, route.call(size, stream=True))
            yield Case(f"{route.name}: encode request, {size}", "request", run)
    reads = _joined(anthropic_stream(), 1)
    yield Case("SSEDecoder, one event a read", "event", partial(_sse_only, reads), len(reads))
    for route in routes():
        for many in (1, 16):
            reads = _joined(route.stream, many)
            run = partial(decode, route.exchange("2k", stream=True), _SSE, reads)
            yield Case(f"{route.name}: stream, {many} a read", "event", run, len(route.stream))
        run = partial(decode, route.exchange("2k", stream=False), _JSON, [route.answer])
        yield Case(f"{route.name}: JSON answer", "answer", run)


def microseconds(case: Case, seconds: float) -> tuple[float, float]:
    """Best and median microseconds per unit, within about so many seconds."""
    timer = timeit.Timer(case.call, timer=time.process_time)
    once = max(timer.timeit(1), 1e-6)
    number = max(1, int(seconds / _REPETITIONS / once))
    times = [total / number / case.count * 1e6 for total in timer.repeat(_REPETITIONS, number)]
    return min(times), statistics.median(times)


def main() -> None:
    """Time the cases and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="rows whose name holds this word")
    parser.add_argument("--seconds", type=float, default=0.5, help="per row (0.5)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = {}
    for case in cases():
        if options.only in case.name:
            best, median = microseconds(case, options.seconds)
            rows[case.name] = {"unit": case.unit, "best_us": best, "median_us": median}
            if not options.json:
                print(f"{case.name:36} {best:10.2f} {median:10.2f} us/{case.unit}", flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
