"""A small world for compiling: five providers, two dialects, one environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from llmproxyd.config.layers import Sources, load_config
from llmproxyd.config.parse import Parsed
from llmproxyd.reload.entries import World
from llmproxyd.reload.snapshot import Snapshot, compile_snapshot
from llmproxyd.spi import Backend, Dialect, Limits, Quirks, Timeouts

FILE = "c.toml"


class NamedDialect:
    """As much of a dialect as compiling looks at."""

    def __init__(self, name: str) -> None:
        self.name = name


MESSAGES = cast(Dialect, NamedDialect("anthropic"))
CHAT = cast(Dialect, NamedDialect("openai"))

GENUINE = Backend(
    kind="genuine",
    dialects=(MESSAGES,),
    base_url="https://api.genuine.test",
    takes_client_key=True,
    is_default=True,
)
SAAS = Backend(
    kind="saas",
    dialects=(CHAT,),
    base_url="https://api.saas.test/v1",
    key_env="SAAS_KEY",
    needs_key=True,
    quirks=Quirks(top_k=True, stop_max=2),
    model_quirks=(("big*", {"reasoning": True, "vision": False}),),
    limits=Limits(max_output=16384),
    timeouts=Timeouts(first_byte_s=900.0),
)
OWN = Backend(kind="self-hosted", dialects=(CHAT, MESSAGES), placeholder_key="dummy")
KEYED = Backend(kind="keyed", dialects=(CHAT,), base_url="https://keyed.test", needs_key=True)
LOCAL = Backend(kind="local", dialects=(CHAT,), base_url="http://localhost:11434", key_env="LOCAL")

KINDS = {kind.kind: kind for kind in (GENUINE, SAAS, OWN, KEYED, LOCAL)}
ENV = {"SAAS_KEY": "saas-key-1", "OTHER_KEY": "other-key-1"}


def read_key(path: str) -> str:
    """The only key file is `my.key`."""
    if path != "my.key":
        raise FileNotFoundError(2, "No such file or directory")
    return "file-key-1\n"


def world(env: Mapping[str, str] = ENV, kinds: Mapping[str, Backend] = KINDS) -> World:
    return World(kinds=kinds, env=env, read_key=read_key)


def parsed(text: str, **sources: Any) -> Parsed:
    return load_config(Sources(text=text, file=FILE, **sources))


def snapshot(
    text: str = "",
    env: Mapping[str, str] = ENV,
    *,
    override: str | None = None,
    generation: int = 1,
) -> Snapshot:
    return compile_snapshot(
        parsed(text), world(env), generation=generation, loaded_at_s=1000.0, override=override
    )
