"""Which HTTP proxy, if any, an outgoing connection takes: the usual environment variables.

aiohttp's own `trust_env` is not used, since it would also read credentials from `~/.netrc` and
put them over the backend's own key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy URL for `url`, or None for a direct connection.

    Loopback addresses are always direct: a proxy elsewhere can not reach them.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if _is_loopback(host) or _is_excluded(host, parts.port, _variable("no_proxy", environ)):
        return None
    return _variable(f"{parts.scheme}_proxy", environ) or _variable("all_proxy", environ) or None


def _variable(name: str, environ: Mapping[str, str]) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


@lru_cache(maxsize=64)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_excluded(host: str, port: int | None, no_proxy: str) -> bool:
    for entry in no_proxy.replace(",", " ").lower().split():
        name, _, entry_port = entry.partition(":")
        if entry_port and entry_port != str(port):
            continue
        name = name.removeprefix("*").removeprefix(".")
        if not name or host == name or host.endswith(f".{name}"):
            return True
    return False
