"""A downstream Messages request: what routing needs decoded, everything else kept as bytes.

Pass-through forwards `raw`, so fields that nobody here knows survive. Translation decodes the
rest itself, once, in the dialect.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from llmproxyd.errors import BadRequest

Headers = tuple[tuple[str, str], ...]

# A high surrogate without its partner, or a lone low one, written as a JSON escape.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)


class _Peek(msgspec.Struct):
    model: Any = None
    stream: Any = None
    max_tokens: Any = None


_PEEK = msgspec.json.Decoder(_Peek)
_ANY = msgspec.json.Decoder()


class MessagesRequest(msgspec.Struct, frozen=True):
    """One `POST /v1/messages` or `/v1/messages/count_tokens` as it came in.

    Attributes:
        raw: the JSON body as received.
        model: the model name the client asked for, unmapped.
        stream: the client wants server-sent events.
        max_tokens: as sent; None when absent or not an integer (the dialect or the provider
            says so then).
        headers: as received, in order; names in the client's own case.
        query: the raw query string without `?`, e.g. `beta=true`.
    """

    raw: bytes
    model: str
    stream: bool = False
    max_tokens: int | None = None
    headers: Headers = ()
    query: str = ""

    def header(self, name: str) -> str | None:
        """The first header called `name` (lower case), or None."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None


def parse_request(raw: bytes, headers: Headers = (), query: str = "") -> MessagesRequest:
    """Read what routing needs from a request body.

    Raises:
        BadRequest: not a JSON object, or without a usable `model`.
    """
    peek = _decode(_PEEK, raw)
    if not isinstance(peek.model, str) or not peek.model.strip():
        problem = "Field required" if peek.model is None else "Input should be a valid string"
        raise BadRequest(f"model: {problem}")
    if peek.stream is not None and not isinstance(peek.stream, bool):
        raise BadRequest("stream: Input should be a valid boolean")
    is_whole = isinstance(peek.max_tokens, int) and not isinstance(peek.max_tokens, bool)
    return MessagesRequest(
        raw, peek.model, bool(peek.stream), peek.max_tokens if is_whole else None, headers, query
    )


def decode_body(raw: bytes) -> dict[str, Any]:
    """The whole body as plain Python values.

    Raises:
        BadRequest: not a JSON object.
    """
    body = _decode(_ANY, raw)
    if not isinstance(body, dict):
        raise BadRequest("the request body must be a JSON object")
    return body


def _decode(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    try:
        return _decode_repaired(decoder, raw)
    except msgspec.ValidationError:
        raise BadRequest("the request body must be a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the request body is not valid JSON: {error}") from None
    except RecursionError:
        raise BadRequest("the request body is nested too deeply") from None


def _decode_repaired(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    """Decode; on failure once more with lone surrogates as U+FFFD, as JavaScript clients send."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        repaired = _LONE_SURROGATE.sub(rb"\1\\ufffd", raw)
        if repaired == raw:
            raise
        return decoder.decode(repaired)
