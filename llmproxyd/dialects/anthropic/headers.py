"""Which headers pass: the client's going up, the backend's coming back.

Everything passes that is not listed here, with name case and order kept, because clients and
the API add headers faster than proxies learn them. Credentials are the exception: they pass
only to the backend they are meant for (translation spec, section 1.11).
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from llmproxyd.spi import BackendEntry, Call, ResponseHead
from llmproxyd.wire.messages import Headers

# RFC 9110, section 7.6.1, and the fields that describe one connection's message only.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_CREDENTIALS = frozenset({"x-api-key", "authorization"})

# `content-encoding`: the body was decompressed on its way in.
_NOT_SENT = _HOP_BY_HOP | {
    "accept-encoding",
    "content-encoding",
    "cookie",
    "cookie2",
    "forwarded",
}
_NOT_SENT_PREFIXES = ("x-llmproxyd-", "x-forwarded-")

# Said by the proxy itself, or about the backend's own site. `access-control-*` of a careless
# server would open the local port to every web page.
_NOT_RETURNED = _HOP_BY_HOP | {
    "alt-svc",
    "content-encoding",
    "content-type",
    "date",
    "nel",
    "report-to",
    "server",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
}
_NOT_RETURNED_PREFIXES = ("access-control-", "x-llmproxyd-")

_OAUTH_TOKEN = "sk-ant-oat"  # noqa: S105 - the prefix that tells a token from a key


def request_headers(call: Call) -> Headers:
    """The headers to send upstream for `call`."""
    credentials = _credentials(call.target.entry)
    dropped = _NOT_SENT | _named_in_connection(call.request.headers)
    if credentials is not None:
        dropped |= _CREDENTIALS
    kept: list[tuple[str, str]] = []
    has_content_type = False
    for name, value in call.request.headers:
        lower = name.lower()
        if lower in dropped or lower.startswith(_NOT_SENT_PREFIXES):
            continue
        has_content_type |= lower == "content-type"
        sent = _without_betas(call, value) if lower == "anthropic-beta" else value
        if sent:
            kept.append((name, sent))
    if not has_content_type:
        kept.append(("content-type", "application/json"))
    return (*kept, *(credentials or ()), ("accept-encoding", "identity"))


def response_headers(head: ResponseHead) -> list[tuple[str, str]]:
    """The headers of a backend's answer that the client gets."""
    dropped = _NOT_RETURNED | _named_in_connection(head.headers)
    return [
        (name, value)
        for name, value in head.headers
        if name not in dropped and not name.startswith(_NOT_RETURNED_PREFIXES)
    ]


def sends_client_key(entry: BackendEntry) -> bool:
    """The client's own credential goes to this backend, as the client sent it."""
    return entry.secret is None and entry.backend.takes_client_key


def _credentials(entry: BackendEntry) -> Headers | None:
    """Our credential headers for `entry`, in place of the client's; None: the client's own."""
    if sends_client_key(entry):
        return None
    key = entry.secret.value if entry.secret else entry.backend.placeholder_key
    if key is None:
        return ()
    in_own_header = ("x-api-key", key)
    as_bearer = ("authorization", f"Bearer {key}")
    if not entry.backend.takes_client_key:
        return in_own_header, as_bearer  # each imitation reads another one
    return (as_bearer,) if key.startswith(_OAUTH_TOKEN) else (in_own_header,)


def _named_in_connection(headers: Headers) -> frozenset[str]:
    """Further hop-by-hop fields that the `Connection` header names."""
    return frozenset(
        option.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for option in value.split(",")
    )


def _without_betas(call: Call, value: str) -> str:
    """The `anthropic-beta` list without those that the backend rejects; globs allowed."""
    stripped = call.target.quirks.strip_betas
    if not stripped:
        return value
    betas = [beta.strip() for beta in value.split(",")]
    kept = [beta for beta in betas if not any(fnmatchcase(beta, glob) for glob in stripped)]
    return value if kept == betas else ",".join(kept)
