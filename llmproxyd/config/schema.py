"""The configuration as frozen structs, after parsing: durations in seconds, sizes in bytes.

Defaults here are the defaults of the product. `parse.py` turns TOML into these and knows the
written forms ("30s", "32MiB", `{ env = "NAME" }`). The reference page is `docs/configuration.md`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

DEFAULT_PORT = 8000
MIB = 1024 * 1024


class SecretRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a key comes from: exactly one of the fields is set.

    Attributes:
        env: name of an environment variable of the daemon.
        file: path of a file that holds the key (`~` is expanded; surrounding blanks dropped).
        literal: the key itself, written as a plain string; then the file must be 0600.
    """

    env: str | None = None
    file: str | None = None
    literal: str | None = None

    def __repr__(self) -> str:
        """The source, never the literal."""
        if self.env is not None:
            return f"SecretRef(env={self.env!r})"
        return f"SecretRef(file={self.file!r})" if self.file is not None else "SecretRef(literal)"


class ServerConfig(msgspec.Struct, frozen=True):
    """`[server]`: the proxy port. `host` and `port` need a restart to change."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    max_body_bytes: int = 32 * MIB
    drain_timeout_s: float = 30.0


class ModelLimits(msgspec.Struct, frozen=True):
    """`[backends.NAME.limits."MODEL"]`: what one model can take, in tokens, and what it can do."""

    context_window: int | None = None
    max_output: int | None = None
    vision: bool | None = None
    tools: bool | None = None
    reasoning: bool | None = None


class TimeoutsConfig(msgspec.Struct, frozen=True):
    """`timeouts = {…}` of a backend, in seconds; None keeps the provider's preset, 0 is no limit."""

    connect_s: float | None = None
    first_byte_s: float | None = None
    idle_s: float | None = None


class BackendConfig(msgspec.Struct, frozen=True):
    """`[backends.NAME]`: one provider entry."""

    type: str
    url: str | None = None
    protocol: Literal["auto", "anthropic", "openai"] = "auto"
    model: str | None = None
    models: dict[str, str] = {}
    api_key: SecretRef | None = None
    description: str = ""
    context_window: int | None = None
    max_output: int | None = None
    limits: dict[str, ModelLimits] = {}
    timeouts: TimeoutsConfig = TimeoutsConfig()
    retries: int = 1
    quirks: dict[str, Any] = {}


class LogConfig(msgspec.Struct, frozen=True):
    """`[log]`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Config(msgspec.Struct, frozen=True):
    """The whole configuration.

    Attributes:
        backend: name of the active backend; None means the default one.
        fallback: names tried in order before anything has reached the client.
    """

    backend: str | None = None
    fallback: tuple[str, ...] = ()
    server: ServerConfig = ServerConfig()
    backends: dict[str, BackendConfig] = {}
    log: LogConfig = LogConfig()
