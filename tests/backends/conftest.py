"""What a backend sends for a request, through the real configuration, dialect and plan."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from llmproxyd.config.places import Places
from llmproxyd.config.schema import BackendConfig
from llmproxyd.registry import discover
from llmproxyd.reload.entries import World, compile_entry
from llmproxyd.routing.plan import target_of
from llmproxyd.spi import BackendEntry, Call, UpstreamRequest
from llmproxyd.wire.messages import Headers, parse_request

MODEL = "claude-opus-5-5"
BODY = {"model": MODEL, "max_tokens": 32_000, "messages": [{"role": "user", "content": "Hello"}]}


class Sent(msgspec.Struct):
    """A request on its way up, easy to look at."""

    raw: UpstreamRequest

    @property
    def url(self) -> str:
        return self.raw.url

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.raw.headers}

    @property
    def body(self) -> dict[str, Any]:
        return msgspec.json.decode(self.raw.body)


def compiled(kind: str, env: Mapping[str, str] | None = None, **written: Any) -> BackendEntry:
    world = World(kinds=discover(), env=env or {}, read_key=lambda path: "key-from-file")
    entry, problems, missing = compile_entry("b", BackendConfig(kind, **written), world, Places())
    assert entry is not None, problems
    assert missing is None, missing
    return entry


@pytest.fixture
def entry() -> Callable[..., BackendEntry]:
    """`entry(kind, env=…, **backend_config)`: the backend as the daemon would compile it."""
    return compiled


@pytest.fixture
def send() -> Callable[..., Sent]:
    """`send(entry, headers=…, dialect=…, **body)`: what goes upstream for a request."""

    def send(
        entry: BackendEntry, headers: Headers = (), dialect: str | None = None, **fields: Any
    ) -> Sent:
        raw = msgspec.json.encode({**BODY, **fields})
        request = parse_request(raw, headers)
        spoken = entry.dialect or next(
            known for known in entry.backend.dialects if known.name == dialect
        )
        call = Call(
            request=request,
            target=target_of(entry, request.model),
            dialect=spoken,
            request_id="req_1",
            entropy=lambda length: "x" * length,
        )
        upstream = spoken.exchange(call).request
        assert upstream is not None
        return Sent(upstream)

    return send
