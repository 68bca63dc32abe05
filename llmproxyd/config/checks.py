"""What types can not say about a configuration: addresses and names that can not work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from llmproxyd.config.places import KeyPath, Places
from llmproxyd.config.schema import BackendConfig, Config
from llmproxyd.errors import Problem

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_config(config: Config, places: Places) -> Iterator[Problem]:
    """Everything wrong with values that are well formed each for itself."""
    if not _is_loopback(config.server.host):
        yield places.problem(
            ("server", "host"),
            "not an address of this machine's loopback",
            "without a client token the proxy serves 127.0.0.1, ::1 or localhost only",
        )
    for name, backend in config.backends.items():
        path = ("backends", name)
        if not name.isprintable() or name != name.strip() or not name:
            yield places.problem(path, "a backend needs a printable name without outer blanks")
        yield from _check_backend(path, backend, places)


def _check_backend(path: KeyPath, backend: BackendConfig, places: Places) -> Iterator[Problem]:
    if backend.url is not None and (message := _url_problem(backend.url)):
        yield places.problem(
            (*path, "url"),
            message,
            'write e.g. "https://host.example/v1" or "http://localhost:8001"',
        )
    if backend.api_key and backend.api_key.env and not _VARIABLE.fullmatch(backend.api_key.env):
        yield places.problem(
            (*path, "api_key", "env"),
            "not the name of an environment variable",
            "env takes the name of a variable, not the key itself",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _url_problem(url: str) -> str | None:
    """What keeps `url` from being the base URL of a server; never shows it, it may hold a key."""
    if not url.isprintable() or " " in url:
        return "the URL holds a blank or a control character"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "not a URL: its host or port can not be read"
    rules = (
        (parts.scheme not in ("http", "https"), "the URL must begin with http:// or https://"),
        (not parts.hostname, "the URL names no host"),
        (port == 0, "the URL names port 0"),
        ("@" in parts.netloc, "the URL holds a user name or password; use api_key"),
        (bool(parts.query or parts.fragment), "a base URL has no query and no fragment"),
    )
    return next((message for is_broken, message in rules if is_broken), None)
