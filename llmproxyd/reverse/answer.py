"""A Messages answer as a Chat Completion, whole or in chunks (translation spec, section 7).

    message_start          a chunk with the role
    text_delta             content
    thinking_delta         reasoning_content
    tool_use, its input    tool_calls, with an index counted over tools only
    message_delta          a chunk with finish_reason
    message_stop           the usage chunk, if wanted, and [DONE]
    ping                   a comment
    error                  an error line, and no [DONE]

Chunks are byte templates around msgspec-encoded strings, as in `wire/stream.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from llmproxyd.errors import BrokeProtocol
from llmproxyd.reverse.errors import error_data
from llmproxyd.reverse.fields import object_of, text_of
from llmproxyd.reverse.usage import chat_usage
from llmproxyd.wire.frames import Frame

# A reason that nobody here knows is an ending like any other.
_ENDED: Final = "stop"
_FINISH: Final = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_KEEP_ALIVE: Final = b": keep-alive\n\n"
_DONE: Final = b"data: [DONE]\n\n"


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""


class _DeltaEvent(msgspec.Struct):
    index: int
    delta: _Delta


class _BlockEvent(msgspec.Struct):
    index: int
    content_block: dict[str, Any] = {}


class _StartMessage(msgspec.Struct):
    usage: dict[str, Any] | None = None


class _StartEvent(msgspec.Struct):
    message: _StartMessage


class _Ending(msgspec.Struct):
    stop_reason: str | None = None


class _EndingEvent(msgspec.Struct):
    delta: _Ending
    usage: dict[str, Any] | None = None


_encode = msgspec.json.Encoder().encode
_delta_event = msgspec.json.Decoder(_DeltaEvent).decode
_block_event = msgspec.json.Decoder(_BlockEvent).decode
_start_event = msgspec.json.Decoder(_StartEvent).decode
_ending_event = msgspec.json.Decoder(_EndingEvent).decode
_message = msgspec.json.Decoder(dict[str, Any]).decode


class ChatOutlet:
    """Writes one answer for an OpenAI client. Used once.

    Attributes:
        is_done: the stream has ended, with `[DONE]` or with an error; nothing more is written.
    """

    __slots__ = (
        "_arguments",
        "_chunk_head",
        "_chunk_tail",
        "_delta_head",
        "_delta_tail",
        "_head",
        "_open_tools",
        "_tools",
        "_usage",
        "_wants_usage",
        "is_done",
    )

    def __init__(
        self, completion_id: str, created_s: int, model: str, *, include_usage: bool = False
    ) -> None:
        """Begin an answer.

        Args:
            completion_id: `chatcmpl-…`, fresh.
            created_s: seconds since 1970.
            model: the name that the client asked for.
            include_usage: the stream ends with a usage chunk.
        """
        self._head = b'"id":%b,"created":%d,"model":%b' % (
            _encode(completion_id),
            created_s,
            _encode(model),
        )
        self._chunk_head = b'data: {%b,"object":"chat.completion.chunk","choices":[' % self._head
        self._chunk_tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._delta_head = self._chunk_head + b'{"index":0,"delta":'
        self._delta_tail = b',"finish_reason":null}]' + self._chunk_tail
        self._wants_usage = include_usage
        self._usage: dict[str, Any] = {}
        self._tools = 0
        self._open_tools: dict[int, int] = {}  # index of a block to the index of its tool
        self._arguments: dict[int, str] = {}  # what a tool gets if no arguments come
        self.is_done = False

    def frames(self, frames: list[Frame]) -> bytes:
        """What these frames are to the client; may be empty.

        Raises:
            BrokeProtocol: a backend's own event, passed through, makes no sense.
        """
        if len(frames) == 1:
            return self._write(frames[0])
        return b"".join([self._write(frame) for frame in frames])

    def whole(self, message: bytes) -> bytes:
        """The completion that a whole message amounts to.

        Raises:
            BrokeProtocol: it is no message.
        """
        try:
            return self._completion(_message(message))
        except (msgspec.DecodeError, RecursionError):
            raise BrokeProtocol("the backend's answer is not a JSON object") from None

    def _completion(self, decoded: dict[str, Any]) -> bytes:
        content = decoded.get("content")
        if not isinstance(content, list):
            raise BrokeProtocol("the backend's answer is not a message")
        reason = text_of(decoded.get("stop_reason"))
        choice = {
            "index": 0,
            "message": _chat_message([object_of(block) for block in content]),
            "logprobs": None,
            "finish_reason": _FINISH.get(reason, _ENDED),
        }
        usage = chat_usage(object_of(decoded.get("usage")))
        return b'{%b,"object":"chat.completion","choices":[%b],"usage":%b}' % (
            self._head,
            _encode(choice),
            _encode(usage),
        )

    def _write(self, frame: Frame) -> bytes:
        write = self._WRITERS.get(frame.event)
        if write is None or self.is_done:
            return b""
        try:
            return write(self, frame.data)
        except (msgspec.DecodeError, RecursionError):
            raise BrokeProtocol("the backend's stream does not make a message") from None

    def _delta(self, data: bytes) -> bytes:
        event = _delta_event(data)
        delta = event.delta
        match delta.type:
            case "text_delta" if delta.text:
                return b'%b{"content":%b}%b' % (
                    self._delta_head,
                    _encode(delta.text),
                    self._delta_tail,
                )
            case "thinking_delta" if delta.thinking:
                return self._chunk(b'{"reasoning_content":%b}' % _encode(delta.thinking))
            case "input_json_delta" if delta.partial_json and event.index in self._open_tools:
                tool = self._open_tools[event.index]
                self._arguments.pop(tool, None)
                return self._tool_input(tool, delta.partial_json)
            case _:
                return b""

    def _start(self, data: bytes) -> bytes:
        self._count(_start_event(data).message.usage)
        return self._chunk(b'{"role":"assistant","content":""}')

    def _start_block(self, data: bytes) -> bytes:
        event = _block_event(data)
        block = event.content_block
        match block.get("type"):
            case "text" if text := text_of(block.get("text")):
                return self._chunk(b'{"content":%b}' % _encode(text))
            case "thinking" if text := text_of(block.get("thinking")):
                return self._chunk(b'{"reasoning_content":%b}' % _encode(text))
            case "tool_use":
                return self._start_tool(event.index, block)
            case _:
                return b""

    def _start_tool(self, index: int, block: dict[str, Any]) -> bytes:
        tool = self._open_tools[index] = self._tools
        self._tools += 1
        self._arguments[tool] = _arguments(block)
        return self._chunk(
            b'{"tool_calls":[{"index":%d,"id":%b,"type":"function",'
            b'"function":{"name":%b,"arguments":""}}]}'
            % (tool, _encode(text_of(block.get("id"))), _encode(text_of(block.get("name"))))
        )

    def _stop_block(self, data: bytes) -> bytes:
        """Clients parse arguments as JSON, so a call without any gets an empty object."""
        tool = self._open_tools.pop(_block_event(data).index, None)
        if tool is None or tool not in self._arguments:
            return b""
        return self._tool_input(tool, self._arguments.pop(tool))

    def _ending(self, data: bytes) -> bytes:
        event = _ending_event(data)
        self._count(event.usage)
        reason = _FINISH.get(event.delta.stop_reason or "", _ENDED)
        return b'%b{},"finish_reason":"%b"}]%b' % (
            self._delta_head,
            reason.encode(),
            self._chunk_tail,
        )

    def _stop(self, data: bytes) -> bytes:
        self.is_done = True
        if not self._wants_usage:
            return _DONE
        usage = _encode(chat_usage(self._usage))
        return b'%b],"usage":%b}\n\n%b' % (self._chunk_head, usage, _DONE)

    def _ping(self, data: bytes) -> bytes:
        return _KEEP_ALIVE

    def _error(self, data: bytes) -> bytes:
        self.is_done = True
        return b"data: %b\n\n" % error_data(data)

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Later counts replace earlier ones; the last event of a stream has not all of them."""
        self._usage |= {name: value for name, value in (usage or {}).items() if value is not None}

    def _tool_input(self, tool: int, arguments: str) -> bytes:
        return self._chunk(
            b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
            % (tool, _encode(arguments))
        )

    def _chunk(self, delta: bytes) -> bytes:
        return self._delta_head + delta + self._delta_tail

    # What each event is to the client; all others are nothing to it.
    _WRITERS: ClassVar[dict[str, Callable[[ChatOutlet, bytes], bytes]]] = {
        "content_block_delta": _delta,
        "content_block_start": _start_block,
        "content_block_stop": _stop_block,
        "message_start": _start,
        "message_delta": _ending,
        "message_stop": _stop,
        "ping": _ping,
        "error": _error,
    }


def _chat_message(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """The message of a whole completion; blocks that OpenAI has no word for are left out."""
    text = _joined(blocks, "text")
    thinking = _joined(blocks, "thinking")
    calls = [
        {
            "id": text_of(block.get("id")),
            "type": "function",
            "function": {"name": text_of(block.get("name")), "arguments": _arguments(block)},
        }
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if thinking:
        message["reasoning_content"] = thinking
    if calls:
        message["tool_calls"] = calls
    return message


def _joined(blocks: list[dict[str, Any]], kind: str) -> str:
    """All of one kind, glued as a stream glues them."""
    return "".join(text_of(block.get(kind)) for block in blocks if block.get("type") == kind)


def _arguments(block: dict[str, Any]) -> str:
    return _encode(object_of(block.get("input"))).decode()
