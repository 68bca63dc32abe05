"""T01, T02, M01 to M03 and sections 5 and 6: counting tokens, listing models."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.rig import Rig
from tests.conformance.vocabulary import PNG, image, request, tool, user

COUNT = "/v1/messages/count_tokens?beta=true"
MODELS = {"a": "claude-one", "b": "claude-two", "c": "qwen/q3:8b"}
ANTHROPIC = {"anthropic_version": "2023-06-01"}


async def counted(rig: Rig, body: dict[str, Any]) -> int:
    body = {key: value for key, value in body.items() if key != "max_tokens"}
    got = await rig.ask(body, COUNT)
    assert 200 == got.status, got.raw
    assert {"input_tokens"} == set(got.json)
    number: int = got.json["input_tokens"]
    return number


async def test_tools_are_counted_t01(serve: Serve) -> None:
    rig = await serve()
    words = "Reads one file of the project and says what is in it. " * 52
    tools = [tool(f"Tool{number}", description=words) for number in range(24)]
    assert sum(len(entry["description"]) for entry in tools) > 64 * 1024
    assert await counted(rig, request(tools=tools)) >= 8000
    assert [] == rig.upstream.requests


async def test_request_without_max_tokens_is_counted_t01(serve: Serve) -> None:
    rig = await serve()
    assert 0 < await counted(rig, request(user("hi"))) < 50


@pytest.mark.parametrize("data", ["A" * 2_000_000, PNG + "A" * 2_000_000])
async def test_image_is_not_counted_as_text_t02(serve: Serve, data: str) -> None:
    rig = await serve()
    assert await counted(rig, request(user("look", image(data)))) < 2000


async def test_invalid_request_is_not_counted(serve: Serve) -> None:
    rig = await serve()
    got = await rig.ask(request() | {"messages": []}, COUNT)
    assert (400, "invalid_request_error") == got.error[:2]


async def test_models_are_paged_m01(serve: Serve) -> None:
    rig = await serve(models=MODELS)
    first = (await rig.get("/v1/models?limit=2", **ANTHROPIC)).json
    assert {"data", "has_more", "first_id", "last_id"} == set(first)
    ids = [model["id"] for model in first["data"]]
    assert 2 == len(ids)
    assert (True, ids[0], ids[1]) == (first["has_more"], first["first_id"], first["last_id"])
    rest = (await rig.get(f"/v1/models?limit=2&after_id={first['last_id']}", **ANTHROPIC)).json
    assert (1, False) == (len(rest["data"]), rest["has_more"])
    assert rest["data"][0]["id"] not in ids
    for model in first["data"] + rest["data"]:
        assert "model" == model["type"]
        assert {"id", "display_name", "created_at"} < set(model)
        assert "claude" in model["id"]  # the CLI keeps no others
    assert "qwen/q3:8b" == rest["data"][0]["display_name"]


@pytest.mark.parametrize("marks", [ANTHROPIC, {"x_api_key": "k"}], ids=["version", "key"])
async def test_models_in_anthropics_shape_m01(serve: Serve, marks: dict[str, str]) -> None:
    rig = await serve(models=MODELS)
    got = await rig.get("/v1/models", **marks)
    assert 3 == len(got.json["data"])
    assert "object" not in got.json


@pytest.mark.parametrize("query", ["after_id=nothing", "limit=0", "limit=1001", "limit=x"])
async def test_bad_cursor_or_limit_m01(serve: Serve, query: str) -> None:
    rig = await serve(models=MODELS)
    got = await rig.get(f"/v1/models?{query}", **ANTHROPIC)
    got.check()
    assert (400, "invalid_request_error") == got.error[:2]


async def test_no_models_m01(serve: Serve) -> None:
    rig = await serve()
    expected = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert expected == (await rig.get("/v1/models", **ANTHROPIC)).json


async def test_models_in_openais_shape_m02(serve: Serve) -> None:
    rig = await serve(models=MODELS)
    listed = (await rig.get("/v1/models")).json
    assert {"object", "data"} == set(listed)
    assert "list" == listed["object"]
    assert ["claude-one", "claude-two", "qwen/q3:8b"] == [one["id"] for one in listed["data"]]
    for one in listed["data"]:
        assert ("model", "llmproxyd") == (one["object"], one["owned_by"])
        assert isinstance(one["created"], int)


@pytest.mark.parametrize("path", ["qwen%2Fq3:8b", "qwen/q3:8b", "qwen%2Fq3%3A8b"])
async def test_model_by_its_id_m03(serve: Serve, path: str) -> None:
    rig = await serve(models=MODELS)
    got = await rig.get(f"/v1/models/{path}", **ANTHROPIC)
    assert (200, "qwen/q3:8b") == (got.status, got.json["id"])


async def test_unknown_model_m03(serve: Serve) -> None:
    rig = await serve(models=MODELS)
    got = await rig.get("/v1/models/no/such:1", **ANTHROPIC)
    got.check()
    assert (404, "not_found_error", "model: no/such:1") == got.error
