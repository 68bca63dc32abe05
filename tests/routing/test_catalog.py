from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxyd.errors import BadRequest, DownstreamError
from llmproxyd.routing.catalog import (
    ModelInfo,
    Page,
    anthropic_list,
    anthropic_model,
    find_model,
    list_models,
    openai_list,
    openai_model,
    page,
)
from llmproxyd.spi import Backend, BackendEntry, DiscoveredModel, Limits


def entry(**fields: Any) -> BackendEntry:
    backend = Backend(kind="acme", dialects=())
    return BackendEntry(name="a", backend=backend, url="http://h", dialect=None, **fields)


def listed(backend: BackendEntry, *discovered: DiscoveredModel) -> list[ModelInfo]:
    return list_models({"a": backend}, "a", {"a": discovered, "b": [DiscoveredModel(id="other")]})


def models(count: int) -> list[ModelInfo]:
    return listed(entry(), *(DiscoveredModel(id=f"m{index}") for index in range(count)))


def ids(part: Page) -> list[str]:
    return [model.name for model in part.models]


def test_configured_models_come_first_and_each_model_once() -> None:
    backend = entry(model="b", models={"opus": "a", "haiku": "b"})
    found = [DiscoveredModel(id="z"), DiscoveredModel(id="a"), DiscoveredModel(id="c")]
    assert ["b", "a", "z", "c"] == [model.name for model in listed(backend, *found)]


def test_nothing_configured_and_nothing_found_is_an_empty_list() -> None:
    empty = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert empty == anthropic_list(page(list_models({"a": entry()}, "a", {})))
    assert openai_list([]) == {"object": "list", "data": []}


def test_local_model_is_listed_under_an_id_that_the_picker_shows() -> None:
    [model] = listed(entry(model="qwen/q3:8b"))
    assert anthropic_model(model) == {
        "type": "model",
        "id": "claude-local-qwen/q3:8b",
        "display_name": "qwen/q3:8b",
        "created_at": "1970-01-01T00:00:00Z",
    }


def test_claude_model_keeps_its_id_and_the_name_that_people_know() -> None:
    [model] = listed(entry(), DiscoveredModel(id="claude-opus-5", display_name="Claude Opus 5"))
    assert ("claude-opus-5", "Claude Opus 5") == (model.id, model.display_name)


def test_limits_are_told_when_known_and_the_configuration_wins() -> None:
    backend = entry(model="m", model_limits={"m": Limits(context_window=8192)})
    found = DiscoveredModel(id="m", limits=Limits(context_window=32768, max_output=4096))
    shown = anthropic_model(listed(backend, found)[0])
    assert (8192, 4096) == (shown["max_input_tokens"], shown["max_tokens"])


def test_m01_first_page_of_two_and_the_rest_after_its_last_id() -> None:
    first = anthropic_list(page(models(3), "2"))
    assert (2, True) == (len(first["data"]), first["has_more"])
    assert first["data"][1]["id"] == first["last_id"]
    rest = anthropic_list(page(models(3), "2", after_id=first["last_id"]))
    assert ["claude-local-m2"] == [model["id"] for model in rest["data"]]
    assert rest["has_more"] is False


def test_m02_openai_shape_lists_the_names_of_the_upstream() -> None:
    assert openai_list(models(2)) == {
        "object": "list",
        "data": [
            {"id": "m0", "object": "model", "created": 0, "owned_by": "llmproxyd"},
            {"id": "m1", "object": "model", "created": 0, "owned_by": "llmproxyd"},
        ],
    }


@pytest.mark.parametrize("asked", ["qwen/q3:8b", "claude-local-qwen/q3:8b", "qwen/q3:8b[1m]"])
def test_m03_model_is_found_by_name_and_by_alias_and_keeps_the_id_asked_for(asked: str) -> None:
    model = find_model(listed(entry(model="qwen/q3:8b")), asked)
    assert asked == anthropic_model(model)["id"] == openai_model(model)["id"]
    assert model.name == "qwen/q3:8b"


def test_claude_model_is_found_by_an_alias_too() -> None:
    found = find_model(listed(entry(model="claude-x")), "claude-local-claude-x")
    assert found.name == "claude-x"


def test_unknown_model_is_not_found() -> None:
    with pytest.raises(DownstreamError, match=r"^model: nope$") as raised:
        find_model(models(3), "nope")
    assert (404, "not_found_error") == (raised.value.status, raised.value.kind)


@pytest.mark.parametrize(
    ("query", "expected", "has_more"),
    [
        ({}, ["m0", "m1", "m2", "m3", "m4"], False),
        ({"limit": "3"}, ["m0", "m1", "m2"], True),
        ({"limit": "1000"}, ["m0", "m1", "m2", "m3", "m4"], False),
        ({"after_id": "m4"}, [], False),
        ({"after_id": "m1", "limit": "2"}, ["m2", "m3"], True),
        ({"after_id": "", "before_id": ""}, ["m0", "m1", "m2", "m3", "m4"], False),
        ({"before_id": "m4", "limit": "2"}, ["m2", "m3"], True),
        ({"before_id": "m2", "limit": "2"}, ["m0", "m1"], False),
        ({"before_id": "m0"}, [], False),
        ({"after_id": "m0", "before_id": "m4", "limit": "2"}, ["m1", "m2"], True),
        ({"after_id": "claude-local-m3"}, ["m4"], False),
    ],
)
def test_cursors_and_limit_choose_the_page(
    query: dict[str, str], expected: list[str], has_more: bool
) -> None:
    part = page(models(5), **query)
    assert (expected, has_more) == (ids(part), part.has_more)


def test_page_without_limit_holds_twenty() -> None:
    part = page(models(21))
    assert (20, True) == (len(part.models), part.has_more)


@pytest.mark.parametrize(
    "limit", ["0", "1001", "99999999999", "-1", "1.5", "many", "", "²", "00001"]
)
def test_limit_outside_of_1_to_1000_is_refused(limit: str) -> None:
    with pytest.raises(BadRequest, match=r"^limit: "):
        page(models(3), limit)


@pytest.mark.parametrize("parameter", ["after_id", "before_id"])
def test_unknown_cursor_is_refused(parameter: str) -> None:
    with pytest.raises(BadRequest, match=f"^{parameter}: unknown model 'nope'$"):
        page(models(3), **{parameter: "nope"})


@given(st.integers(0, 30), st.integers(1, 9))
def test_walking_all_pages_sees_every_model_once(count: int, limit: int) -> None:
    everything = models(count)
    seen: list[str] = []
    cursor = None
    while True:
        part = page(everything, str(limit), after_id=cursor)
        seen += ids(part)
        if not part.has_more:
            break
        cursor = part.models[-1].id
    assert [model.name for model in everything] == seen
