"""The corrections 1 to 8 that open the spec: what the newest client does and needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.rig import CLIENT_KEY
from tests.conformance.test_request_options import raw_value
from tests.conformance.vocabulary import (
    assistant,
    request,
    system,
    text,
    tool,
    tool_result,
    tool_use,
    user,
)
from tests.fakes.chat_schema import problems_of
from tests.real.daemon import BACKEND_KEY

SEARCH = tool("ToolSearch")
PLACEHOLDER = tool("DeferredToolPlaceholder", defer_loading=True)
FETCH = tool("WebFetch", defer_loading=True)
CRON = tool("CronList", defer_loading=True)


def found(call_id: str, *names: str) -> list[dict[str, Any]]:
    """A turn in which the model asked for tools, and was told of them."""
    references = [{"type": "tool_reference", "tool_name": name} for name in names]
    asked = assistant(tool_use(call_id, {"query": "x"}, "ToolSearch"))
    return [asked, user(tool_result(call_id, references))]


DEFERRED: dict[str, tuple[list[Any], list[Any], list[str]]] = {
    "not-loaded": ([tool("Bash"), SEARCH, PLACEHOLDER, FETCH], [], ["Bash", "ToolSearch"]),
    "loaded": (
        [tool("Bash"), SEARCH, PLACEHOLDER, FETCH, CRON],
        found("a", "WebFetch"),
        ["Bash", "ToolSearch", "WebFetch"],
    ),
    "loaded-comes-last": (
        [FETCH, tool("Bash"), CRON, SEARCH],
        found("a", "CronList"),
        ["Bash", "ToolSearch", "CronList"],
    ),
    "loaded-in-two-turns": (
        [FETCH, CRON, tool("Bash"), SEARCH],
        [*found("a", "CronList"), *found("b", "WebFetch")],
        ["Bash", "ToolSearch", "CronList", "WebFetch"],
    ),
    "placeholder-is-named": (
        [tool("Bash"), SEARCH, PLACEHOLDER],
        found("a", "DeferredToolPlaceholder"),
        ["Bash", "ToolSearch"],
    ),
    "no-search-tool": ([tool("Bash"), PLACEHOLDER, FETCH], [], ["Bash", "WebFetch"]),
}


@pytest.mark.parametrize(("tools", "turns", "names"), DEFERRED.values(), ids=DEFERRED)
async def test_deferred_tools_c1(
    serve: Serve, tools: list[Any], turns: list[Any], names: list[str]
) -> None:
    rig = await serve()
    await rig.ask(request(user("hi"), *turns, tools=tools))
    sent = rig.upstream.body["tools"]
    assert names == [entry["function"]["name"] for entry in sent]
    assert b"defer_loading" not in rig.upstream.request.raw


async def test_loading_a_tool_keeps_the_prefix_c1(serve: Serve) -> None:
    rig = await serve()
    tools = [FETCH, CRON, tool("Bash"), SEARCH]
    turns = [user("hi"), *found("a", "CronList")]
    await rig.ask(request(*turns, tools=tools))
    await rig.ask(request(*turns, *found("b", "WebFetch"), tools=tools))
    before, after = [received.raw for received in rig.upstream.requests]
    for key in ("tools", "messages"):
        assert raw_value(after, key).startswith(raw_value(before, key).removesuffix("]"))


def turn_with(level: str | None, **top: Any) -> dict[str, Any]:
    own = {"output_config": {"effort": level}} if level else {}
    first = system("one", output_config={"effort": "high"})
    return request(user("hi"), first, user("and"), system("two", **own), **top)


EFFORTS: dict[str, tuple[dict[str, Any], str]] = {
    "last-one-counts": (turn_with("low", thinking={"type": "adaptive"}), "low"),
    "beats-the-top": (
        turn_with("low", thinking={"type": "adaptive"}, output_config={"effort": "medium"}),
        "low",
    ),
    "of-an-earlier-message": (turn_with(None, thinking={"type": "adaptive"}), "high"),
}


@pytest.mark.parametrize(("body", "expected"), EFFORTS.values(), ids=EFFORTS)
async def test_effort_of_the_turn_c2(serve: Serve, body: dict[str, Any], expected: str) -> None:
    rig = await serve(kind="cerebras", model="gpt-oss-120b")
    assert 200 == (await rig.ask(body)).status
    assert expected == rig.upstream.body["reasoning_effort"]
    assert b"output_config" not in rig.upstream.request.raw


async def test_form_of_a_system_message_changes_nothing_c2(serve: Serve) -> None:
    rig = await serve()
    forms = ["be brief", [text("be brief")], [text("be brief", cache_control={"type": "x"})]]
    for form in forms:
        await rig.ask(request(user("hi"), system(form), assistant("ok"), user("on")))
    assert 1 == len({received.raw for received in rig.upstream.requests})


SAFEGUARDS = [{"type": "dangerous_tool_use", "classifier_context": {"live_cwd": "/x"}}]


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_safeguards_are_dropped_and_never_forged_c3(serve: Serve, *, streams: bool) -> None:
    rig = await serve()
    got = await rig.ask(request(safeguards=SAFEGUARDS, stream=streams))
    assert 200 == got.status
    assert b"safeguard" not in rig.upstream.request.raw
    assert b"safeguard" not in got.raw
    assert "dropped:safeguards" in rig.notes


CREDENTIALS: dict[str, dict[str, str]] = {
    "x-api-key": {"x_api_key": CLIENT_KEY},
    "bearer": {"x_api_key": "", "authorization": f"Bearer {CLIENT_KEY}"},
    "both": {"x_api_key": CLIENT_KEY, "authorization": f"Bearer {CLIENT_KEY}"},
}


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize("given", CREDENTIALS.values(), ids=CREDENTIALS)
async def test_credentials_and_versions_are_accepted_and_stay_here_c4(
    serve: Serve, given: dict[str, str], version: str
) -> None:
    rig = await serve()
    own = {"x_stainless_lang": "js", "anthropic_beta": "b", "x_app": "cli"}
    got = await rig.ask(request(stream=True), anthropic_version=version, **own, **given)
    assert 200 == got.status
    sent = rig.upstream.request.headers
    assert f"Bearer {BACKEND_KEY}" == sent["authorization"]
    foreign = ("anthropic-", "x-stainless-", "x-api-key", "x-app")
    assert [] == [name for name in sent if name.startswith(foreign)]
    assert "identity" == sent["accept-encoding"]
    assert "text/event-stream" == sent["accept"]
    assert "application/json" == sent["content-type"].partition(";")[0]
    assert sent["user-agent"].startswith("llmproxyd/")


PROBE = request(user("Hi"), max_tokens=1, stream=False)


async def test_model_probe_is_answered_here_c6(serve: Serve) -> None:
    rig = await serve(models={"opus": "big"})
    for name in ("claude-opus-5-5", "big", "claude-local-big"):
        got = await rig.ask(PROBE | {"model": name})
        assert (200, name) == (got.status, got.json["model"])
    assert [] == rig.upstream.requests


@pytest.mark.parametrize(
    "fields", [{"stream": True}, {"max_tokens": 2}, {"tools": [tool("T")]}], ids=str
)
async def test_what_only_resembles_a_probe_goes_up_c6(serve: Serve, fields: Any) -> None:
    rig = await serve()
    assert 200 == (await rig.ask(PROBE | fields)).status
    assert 1 == len(rig.upstream.requests)


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "json"])
async def test_prewarming_is_answered_here(serve: Serve, *, streams: bool) -> None:
    rig = await serve()
    got = await rig.ask(request(max_tokens=0, stream=streams))
    assert ([], "max_tokens") == (got.content, got.message["stop_reason"])
    assert got.message["usage"]["input_tokens"] > 0
    assert [] == rig.upstream.requests


FIXTURES = Path(__file__).parents[1] / "fixtures"
RECORDED: dict[str, dict[str, Any]] = {
    path.stem: recorded
    for path in sorted(FIXTURES.glob("*.json"))
    if (recorded := json.loads(path.read_text()))["path"].startswith("/v1/messages?")
    and "websearch" not in path.stem
}
# aiohttp sets them itself.
OF_THE_CONNECTION = {"host", "content-length", "connection", "accept-encoding", "content-type"}


@pytest.mark.parametrize("kind", ["openai-compatible", "cerebras", "vllm", "llamacpp", "ollama"])
async def test_no_request_of_the_real_client_is_refused_c8(serve: Serve, kind: str) -> None:
    rig = await serve(kind=kind)
    refused, strange = {}, {}
    for name, recorded in RECORDED.items():
        headers = [pair for pair in recorded["headers"] if pair[0].lower() not in OF_THE_CONNECTION]
        got = await rig.ask(recorded["body"], recorded["path"], **dict(headers))
        if got.status != 200:
            refused[name] = got.error
        elif kind == "cerebras" and "probe" not in name:
            strange[name] = problems_of(rig.upstream.requests[-1].body)
    assert {} == refused
    assert {} == {name: found for name, found in strange.items() if found}
