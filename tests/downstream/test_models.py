"""Model lists in the shape that the caller understands."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from llmproxyd.downstream.models import ModelLists
from llmproxyd.errors import BadRequest, DownstreamError
from llmproxyd.spi import Backend, BackendEntry, DiscoveredModel

ANTHROPIC = (("Anthropic-Version", "2023-06-01"),)
SDK = (("Authorization", "Bearer x"), ("anthropic-version", "2026-10-21"))


class Discovery:
    """Knows two models, and a third once a client has lent its key."""

    def __init__(self) -> None:
        self.known = {"b": tuple(DiscoveredModel(id=f"claude-{n}") for n in "ab")}
        self.asked = []

    async def ask(self, entry, headers):
        self.asked.append(headers)
        self.known = {"b": (*self.known["b"], DiscoveredModel(id="claude-c"))}


def snapshot(**backend):
    kind = Backend(kind="k", dialects=(), **backend)
    entry = BackendEntry(name="b", backend=kind, url="http://x", dialect=None, model="qwen/q3:8b")
    return SimpleNamespace(entries={"b": entry}, active="b")


@pytest.fixture
def lists():
    return ModelLists(Discovery())


async def test_anthropic_clients_get_pages(lists):
    first = msgspec.json.decode(await lists.page(snapshot(), ANTHROPIC, "limit=2"))
    assert [model["id"] for model in first["data"]] == ["claude-local-qwen/q3:8b", "claude-a"]
    assert first["has_more"] is True
    query = f"limit=2&after_id={first['last_id']}"
    rest = msgspec.json.decode(await lists.page(snapshot(), SDK, query))
    assert [model["id"] for model in rest["data"]] == ["claude-b"]


async def test_other_clients_get_the_openai_shape(lists):
    listed = msgspec.json.decode(await lists.page(snapshot(), (), ""))
    assert listed["object"] == "list"
    assert listed["data"][0]["id"] == "qwen/q3:8b"
    one = msgspec.json.decode(await lists.find(snapshot(), (), "qwen/q3:8b"))
    assert one["object"] == "model"


async def test_unknown_cursor_and_unknown_model_are_refused(lists):
    with pytest.raises(BadRequest):
        await lists.page(snapshot(), ANTHROPIC, "after_id=nope")
    with pytest.raises(DownstreamError) as caught:
        await lists.find(snapshot(), ANTHROPIC, "nope")
    assert (caught.value.status, caught.value.message) == (404, "model: nope")


async def test_provider_that_wants_the_clients_key_is_asked_with_it(lists):
    listed = await lists.page(snapshot(takes_client_key=True), SDK, "")
    assert b"claude-c" in listed
    assert lists._discovery.asked == [SDK]
