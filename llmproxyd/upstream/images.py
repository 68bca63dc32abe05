"""Fetching images that a request only links to, for backends that take none but inline ones.

The URL comes out of a conversation, so whoever wrote a web page that the model has read may have
chosen it. Nothing of this machine or its network may be reached with it: addresses are checked
after resolving, and the connection goes to the very address that was checked.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

MAX_IMAGE_BYTES: Final = 10 * 1024 * 1024
_PATIENCE_S: Final = 5.0
_MAX_IMAGES: Final = 20


class ImageFetcher:
    """Downloads images. Build it inside the running loop; `close` it at the end.

    Args:
        allow_private: also reach loopback and private addresses; for tests only.
    """

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private
        resolver = None if allow_private else _PublicResolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False),
            timeout=aiohttp.ClientTimeout(total=_PATIENCE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def fetch(self, urls: Iterable[str]) -> dict[str, str | None]:
        """Each URL to its image as a data URI, or to None when it can not be had."""
        wanted = list(dict.fromkeys(urls))[:_MAX_IMAGES]
        return dict(zip(wanted, await asyncio.gather(*map(self._fetch, wanted)), strict=True))

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def _fetch(self, url: str) -> str | None:
        if not self._is_allowed(url):
            return None
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                kind = response.content_type
                if response.status != 200 or not kind.startswith("image/"):  # noqa: PLR2004
                    return None
                data = await response.content.read(MAX_IMAGE_BYTES + 1)
                while len(data) <= MAX_IMAGE_BYTES and (more := await response.content.readany()):
                    data += more
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None
        if len(data) > MAX_IMAGE_BYTES:
            return None
        encoded = await asyncio.to_thread(base64.b64encode, data)
        return f"data:{kind};base64,{encoded.decode()}"

    def _is_allowed(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return False
        return self._allow_private or _is_public_name(parts.hostname)


class _PublicResolver(AbstractResolver):
    """Resolves names to public addresses only; a name with any other address does not exist."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(result["host"]) for result in found):
            raise OSError(f"{host} has an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: str) -> bool:
    """An address that anybody on the internet could reach."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return bool(mapped.is_global) and not mapped.is_multicast


def _is_public_name(host: str) -> bool:
    """False for address literals that are not public; names are checked when they resolve."""
    try:
        return is_public(host)
    except ValueError:
        return True
