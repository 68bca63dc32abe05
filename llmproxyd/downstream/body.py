"""Reading a request body: bounded, and without waiting for what will be refused."""

from __future__ import annotations

from aiohttp import web

from llmproxyd.errors import BadRequest, TooLarge


async def read_body(request: web.BaseRequest, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: above `limit_bytes`; a declared length is refused before anything is read.
        BadRequest: it is not compressed as its headers say.
    """
    length = request.content_length
    if length is not None and length > limit_bytes:
        raise _too_large(limit_bytes)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    parts: list[bytes] = []
    size_bytes = 0
    try:
        while data := await request.content.readany():
            size_bytes += len(data)
            if size_bytes > limit_bytes:
                raise _too_large(limit_bytes)
            parts.append(data)
    except web.RequestPayloadError:
        raise BadRequest("the request body is not encoded as its headers say") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"the request body is larger than {limit_bytes / 1024 / 1024:g} MiB; "
        "raise max_body under [server] if that is intended"
    )
