"""What must hold for any bytes that a backend can send; one function, `check`, for any fuzzer.

The first byte of an input chooses the decoder, the second its settings, the third the size of the
reads; the rest is the stream. Each decoder gets it twice, whole and in reads, and then:

1. nothing is raised, and the frames of both are the same;
2. what comes out is a legal stream, or the beginning of one and a failure, under checkers that
   share nothing with the code: a regular expression, a state table, a plain reading of WHATWG's
   rules;
3. a pass-through changes no byte;
4. a complete stream folds into the message that a client makes of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from llmproxyd.spi import ResponseDecoder
from llmproxyd.wire.fold import fold
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.sse import SSEDecoder
from tests.dialects.anthropic import calls as messages
from tests.dialects.anthropic.legality import assert_legal
from tests.dialects.openai_chat import calls as chat
from tests.dialects.openai_chat import grammar
from tests.dialects.openai_chat.upstream import head, make_exchange

HEADER_BYTES = 3
USED = "used"  # a tool id of the conversation
BOM = b"\xef\xbb\xbf"

CHAT_HISTORY = [
    chat.user("hi"),
    chat.assistant(chat.text("ok"), chat.tool_use(USED)),
    chat.user(chat.tool_result(USED)),
]
CHAT_SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"flags": {"stop_mode": "proxy"}, "body": {"stop_sequences": ["END", "</block>"]}},
    {"flags": {"think_tags": "always_open"}},
    {"flags": {"repair_args": True, "salvage_text_tools": True}},
    {"flags": {"reasoning_in": "reasoning"}, "body": {"thinking": None}},
    {"body": {"thinking": {"type": "adaptive", "display": "omitted"}}},
)
MESSAGES_SETTINGS: tuple[dict[str, Any], ...] = ({}, {"stream": False})
MESSAGES_HISTORY = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": USED, "name": "B", "input": {}}]},
]


class Outcome(NamedTuple):
    """All that a decoder tells."""

    frames: list[Frame]
    is_done: bool
    failure: tuple[int, str, str] | None
    usage: Any
    notes: tuple[str, ...]


def check(data: bytes) -> None:
    """Raise if anything above does not hold for `data`."""
    if len(data) < HEADER_BYTES:
        return
    target, setting, size = data[:HEADER_BYTES]
    CHECKS[target % len(CHECKS)](data[HEADER_BYTES:], setting, 1 + size % 100)


def check_events(stream: bytes, _setting: int, size: int) -> None:
    """The decoder of server-sent events."""
    whole, split = (_events(pieces) for pieces in ([stream], list(_reads(stream, size))))
    assert whole == split
    assert [event for event in whole if event[1] or event[2]] == list(_plain_reading(stream))


def check_chat(stream: bytes, setting: int, size: int) -> None:
    """The Chat Completions dialect."""
    given = CHAT_SETTINGS[setting % len(CHAT_SETTINGS)]
    body = {"messages": CHAT_HISTORY} | given.get("body", {})
    settings = given | {"body": body}
    outcome = _same_for_any_split(lambda: make_exchange(**settings).decoder(head()), stream, size)
    events = grammar.parse(_wire(outcome.frames))
    grammar.check(events, is_whole=outcome.failure is None, history={USED})
    if outcome.failure is None:
        assert grammar.aggregate(events) == json.loads(fold(outcome.frames))


def check_repaired(stream: bytes, setting: int, size: int) -> None:
    """The Messages dialect, behind an imitation."""
    outcome = _messages(stream, setting, size, messages.IMITATION)
    if [frame.event for frame in outcome.frames] == ["message"]:
        assert isinstance(json.loads(outcome.frames[0].data), dict)
        return
    assert_legal(outcome.frames, is_complete=outcome.failure is None)
    if outcome.failure is None:
        assert json.loads(fold(outcome.frames))["role"] == "assistant"


def check_exact(stream: bytes, setting: int, size: int) -> None:
    """The Messages dialect, behind Anthropic's own API."""
    outcome = _messages(stream, setting, size, messages.GENUINE)
    if stream.lstrip(b" \t\r\n")[:1] != b"{":
        assert stream.startswith(_wire(outcome.frames))


def _messages(stream: bytes, setting: int, size: int, backend: Any) -> Outcome:
    given = MESSAGES_SETTINGS[setting % len(MESSAGES_SETTINGS)]
    body = {"messages": MESSAGES_HISTORY, **given}
    call = lambda: messages.make_call(body, backend=backend)  # noqa: E731
    return _same_for_any_split(
        lambda: (made := call()).dialect.exchange(made).decoder(messages.SSE), stream, size
    )


CHECKS: tuple[Callable[[bytes, int, int], None], ...] = (
    check_events,
    check_chat,
    check_repaired,
    check_exact,
)


def _same_for_any_split(make: Callable[[], ResponseDecoder], stream: bytes, size: int) -> Outcome:
    """What came of `stream`, the same either way.

    Of a whole read all is decoded, of small ones what comes until the answer is done. And the
    LF of a CRLF that is cut in two goes to the next frame.
    """
    whole = _decode(make(), [stream])
    split = _decode(make(), _reads(stream, size))
    assert (whole.is_done, whole.failure) == (split.is_done, split.failure)
    assert whole.is_done == (whole.failure is None)
    told, told_split = _told(whole.frames), _told(split.frames)
    assert told[: len(told_split)] == told_split
    assert _wire(whole.frames).startswith(_wire(split.frames).rstrip(b"\r\n"))
    if told == told_split:
        assert (whole.usage, whole.notes) == (split.usage, split.notes)
    else:
        assert whole.is_done
    return split


def _told(frames: list[Frame]) -> list[tuple[str, bytes]]:
    """What clients see; blank lines and comments that pass through are cut as they come."""
    return [(frame.event, frame.data) for frame in frames if frame.event or frame.data]


def _wire(frames: list[Frame]) -> bytes:
    return b"".join(frame.wire for frame in frames)


def _decode(decoder: ResponseDecoder, reads: Any) -> Outcome:
    """Feed as the pipeline does, to the end of the answer or of the body."""
    frames: list[Frame] = []
    for read in reads:
        frames += decoder.feed(read)
        if decoder.is_done or decoder.failure is not None:
            break
    else:
        frames += decoder.end()
    failure = decoder.failure
    told = None if failure is None else (failure.status, failure.kind, failure.message)
    return Outcome(frames, decoder.is_done, told, decoder.usage, decoder.notes)


def _reads(stream: bytes, size: int) -> Iterator[bytes]:
    return (stream[at : at + size] for at in range(0, len(stream), size))


def _events(reads: list[bytes]) -> list[tuple[str, bytes, bytes]]:
    decoder = SSEDecoder()
    events = [event for read in reads for event in decoder.feed(read)]
    raw = b"".join(event.raw for event in events)
    assert b"".join(reads).removeprefix(BOM).startswith(raw)
    last = decoder.end()
    found = [*events, *([last] if last else [])]
    return [(event.event, event.data, event.error) for event in found if event.has_data]


def _plain_reading(stream: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """The events of a stream by WHATWG's rules, field by field, the last one without its end too.

    Ours are `error` lines, which some servers send.
    """
    fields: dict[bytes, list[bytes]] = {}
    for line in [*re.split(rb"\r\n|\n|\r", stream.removeprefix(BOM)), b""]:
        if line:
            name, _, value = line.partition(b":")
            fields.setdefault(name, []).append(value.removeprefix(b" "))
            continue
        data, error = b"\n".join(fields.get(b"data", [])), fields.get(b"error", [b""])[-1]
        if data or error:
            yield fields.get(b"event", [b""])[-1].decode("utf-8", "replace"), data, error
        fields = {}
