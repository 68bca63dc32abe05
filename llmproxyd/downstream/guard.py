"""Who may talk to the proxy port: programs of this machine, never a web page.

A browser can reach a loopback port in two ways: a page sends a request across sites, or a name
of the page's own is pointed at 127.0.0.1 (DNS rebinding). The first always carries `Origin` or
`Sec-Fetch-Site`; the second carries a `Host` that public DNS could serve.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

from llmproxyd.errors import DownstreamError

_SAME_SITE = frozenset({"none", "same-origin"})


def refusal(method: str, headers: Mapping[str, str], *, is_loopback_only: bool) -> str | None:
    """Why this request is refused, one sentence; None when it is welcome.

    `is_loopback_only`: the port is bound to loopback, so `Host` must name loopback too.
    """
    if headers.get("Origin") or headers.get("Sec-Fetch-Site", "none") not in _SAME_SITE:
        return "requests from web pages are refused"
    if is_loopback_only and not names_loopback(headers.get("Host", "")):
        return "the Host header must be localhost or a loopback address"
    if method == "POST":
        content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type not in {"", "application/json"}:
            return "the content-type must be application/json"
    return None


def check(method: str, headers: Mapping[str, str], *, is_loopback_only: bool) -> None:
    """Raise DownstreamError (403 permission_error) when the request is refused."""
    why = refusal(method, headers, is_loopback_only=is_loopback_only)
    if why is not None:
        raise DownstreamError(why, status=403, kind="permission_error", should_retry=False)


@lru_cache(maxsize=64)
def names_loopback(host: str) -> bool:
    """True for `localhost` and loopback literals, with or without a port."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
