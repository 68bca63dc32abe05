"""The configuration as frozen structs, after parsing: durations in seconds, sizes in bytes.

Defaults here are the defaults of the product. The structs also say how a value is written: the
key in the file is the field's `name=` where that differs, a constraint stands in its type, and
`extra={"written": …}` names a written form of its own ("30s", "32MiB", `{ env = "NAME" }`) that
`decode.py` knows. So a new key is one field here and one row in `docs/configuration.md`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

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


Text = Annotated[str, msgspec.Meta(min_length=1)]
Kind = Annotated[str, msgspec.Meta(min_length=1, extra={"written": "kind"})]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Tokens = Annotated[int, msgspec.Meta(gt=0)]
Retries = Annotated[int, msgspec.Meta(ge=0, le=10)]
Seconds = Annotated[float, msgspec.Meta(extra={"written": "duration"})]
Bytes = Annotated[int, msgspec.Meta(gt=0, extra={"written": "size"})]
Key = Annotated[SecretRef, msgspec.Meta(extra={"written": "secret"})]


class ServerConfig(msgspec.Struct, frozen=True):
    """`[server]`: the proxy port. `host` and `port` need a restart to change; `localhost` is both
    loopback addresses, so that nobody else can answer on the other one.

    `port = 0` lets the system pick a free one.
    """

    host: Text = "localhost"
    port: Port = DEFAULT_PORT
    max_body_bytes: Bytes = msgspec.field(default=32 * MIB, name="max_body")
    drain_timeout_s: Seconds = msgspec.field(default=30.0, name="drain_timeout")


class ModelLimits(msgspec.Struct, frozen=True):
    """`[backends.NAME.limits."MODEL"]`: what one model can take, in tokens, and what it can do."""

    context_window: Tokens | None = None
    max_output: Tokens | None = None
    vision: bool | None = None
    reasoning: bool | None = None


class TimeoutsConfig(msgspec.Struct, frozen=True):
    """`timeouts = {…}` of a backend, in seconds; None keeps the provider's preset, 0 is no limit."""

    connect_s: Seconds | None = msgspec.field(default=None, name="connect")
    first_byte_s: Seconds | None = msgspec.field(default=None, name="first_byte")
    idle_s: Seconds | None = msgspec.field(default=None, name="idle")


class BackendConfig(msgspec.Struct, frozen=True):
    """`[backends.NAME]`: one provider entry."""

    type: Kind
    url: Text | None = None
    protocol: Literal["auto", "anthropic", "openai"] = "auto"
    model: Text | None = None
    models: dict[str, Text] = {}
    api_key: Key | None = None
    description: str = ""
    context_window: Tokens | None = None
    max_output: Tokens | None = None
    limits: dict[str, ModelLimits] = {}
    timeouts: TimeoutsConfig = TimeoutsConfig()
    retries: Retries = 1
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
        server_tools: name of the backend for requests that carry nothing but server tools (web
            search and the like), which only their own provider can run; None refuses them on
            translated backends.
    """

    backend: Text | None = None
    fallback: tuple[Text, ...] = ()
    server_tools: Text | None = None
    server: ServerConfig = ServerConfig()
    backends: dict[str, BackendConfig] = {}
    log: LogConfig = LogConfig()
