"""The real Claude CLI through a real daemon, on both wire formats (client behaviour, section 13)."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Proxied
from tests.fakes.answers import FINAL
from tests.fakes.anthropic_stub import AnthropicStub, foreign_signature
from tests.fakes.chat_completions import ChatCompletionsFake
from tests.fakes.reading import images, thoughts, tool_names, tool_results
from tests.real.claude_cli import ClaudeCLI, Run
from tests.real.daemon import Daemon, eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

WRITTEN = "written by stub\n"


@pytest.fixture
def cli(proxied: Proxied, claude_at: Callable[[str], ClaudeCLI]) -> ClaudeCLI:
    return claude_at(proxied.url)


@pytest.fixture
def repository(cli: ClaudeCLI, tmp_path: Path) -> Path:
    return cli.repository(tmp_path / "repository")


def dot_png() -> bytes:
    """A red picture of eight by eight pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    rows = b"".join(b"\0" + b"\xff\0\0" * 8 for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tools_used(run: Run) -> list[str]:
    return [block["name"] for block in run.blocks if block["type"] == "tool_use"]


async def test_a_plain_answer(proxied: Proxied, cli: ClaudeCLI, repository: Path) -> None:
    run = await cli.run("-p", "say hi [[stub:text t=hello_there]]", cwd=repository)
    assert "hello there\n" == run.ok().stdout
    assert 1 == len(proxied.fake.of("main"))


async def test_stream_json_carries_the_whole_event_sequence(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    run = await cli.ask("say hi [[stub:text]]", "--include-partial-messages", cwd=repository)
    assert "success" == run.ok().result["subtype"]
    assert FINAL == run.result["result"]
    names = [event["event"]["type"] for event in run.of("stream_event")]
    assert "message_start" == names[0]
    assert ["content_block_stop", "message_delta", "message_stop"] == names[-3:]
    assert run.result["usage"]["input_tokens"] > 0
    assert 25 == run.result["usage"]["output_tokens"]


async def test_a_tool_loop_writes_the_file(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    run = await cli.ask("go [[stub:tool_loop]]", cwd=repository)
    assert FINAL == run.ok().result["result"]
    assert ["Bash", "Write"] == tools_used(run)
    assert WRITTEN == (repository / "stub-written.txt").read_text()
    requests = proxied.fake.of("main")
    assert [0, 1, 2] == [len(tool_results(request)) for request in requests]
    assert "hello-from-tool" in tool_results(requests[1])[0]


async def test_two_parallel_tool_calls(proxied: Proxied, cli: ClaudeCLI, repository: Path) -> None:
    run = await cli.ask("go [[stub:parallel]]", cwd=repository)
    assert FINAL == run.ok().result["result"]
    assert ["Bash", "Bash"] == tools_used(run)
    requests = proxied.fake.of("main")
    assert [0, 2] == [len(tool_results(request)) for request in requests]
    assert {"one", "two"} == {result.strip() for result in tool_results(requests[1])}


async def test_an_image_is_read(proxied: Proxied, cli: ClaudeCLI, repository: Path) -> None:
    (repository / "dot.png").write_bytes(dot_png())
    run = await cli.ask("look [[stub:image_read]]", "--model", "claude-vision-1", cwd=repository)
    assert FINAL == run.ok().result["result"]
    assert [[], ["image/png"]] == [images(request) for request in proxied.fake.of("main")]


async def test_thinking_is_shown_and_replayed(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    run = await cli.ask("think [[stub:thinking_tool]]", cwd=repository)
    assert FINAL == run.ok().result["result"]
    shown = [block["thinking"] for block in run.blocks if block["type"] == "thinking"]
    assert ["First I run a command.", "Now I am done."] == shown
    assert ["First I run a command."] == thoughts(proxied.fake.of("main")[1])


@pytest.mark.parametrize("order", [("anthropic", "cerebras"), ("cerebras", "anthropic")])
async def test_the_backend_changes_in_the_middle_of_a_conversation(
    order: tuple[str, str],
    both: Daemon,
    anthropic_stub: AnthropicStub,
    chat_fake: ChatCompletionsFake,
    claude_at: Callable[[str], ClaudeCLI],
    tmp_path: Path,
) -> None:
    first, second = order
    anthropic_stub.checks.append(foreign_signature)
    fakes = {"anthropic": anthropic_stub, "cerebras": chat_fake}
    cli = claude_at(both.url)
    repository = cli.repository(tmp_path / "repository")
    prompts = ("one [[stub:thinking_tool]]", "two [[stub:tool_loop]]", "three [[stub:thinking]]")
    for backend, prompt in zip((first, second, first), prompts, strict=True):
        await both.use(backend)
        before = len(fakes[backend].of("main"))
        more = () if prompt == prompts[0] else ("-c",)
        run = await cli.ask(prompt, *more, cwd=repository)
        assert "success" == run.ok().result["subtype"]
        assert len(fakes[backend].of("main")) > before
    assert 3 == len(fakes[second].of("main"))
    assert WRITTEN == (repository / "stub-written.txt").read_text()
    # The whole conversation has come along: three tools were run before the last prompt.
    last = fakes[first].of("main")[-1]
    assert 3 == len(tool_results(last))
    assert [] == anthropic_stub.problems


async def test_two_repositories_at_once(proxied: Proxied, cli: ClaudeCLI, tmp_path: Path) -> None:
    repositories = [cli.repository(tmp_path / name) for name in ("left", "right")]
    runs = await asyncio.gather(
        *(
            cli.ask(f"go [[stub:tool_loop id={repository.name}]]", cwd=repository)
            for repository in repositories
        )
    )
    assert [FINAL, FINAL] == [run.ok().result["result"] for run in runs]
    assert 2 == len({run.result["session_id"] for run in runs})
    for repository in repositories:
        assert WRITTEN == (repository / "stub-written.txt").read_text()
    assert 6 == len(proxied.fake.of("main"))


async def test_an_overflow_ends_in_compaction(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    for prompt in (("remember zebra",), ("and lion", "-c")):
        (await cli.ask(*prompt, cwd=repository)).ok()
    run = await cli.ask("go on [[stub:toolong times=1]]", "-c", cwd=repository)
    assert "stub-recovered after 1 failures" == run.ok().result["result"]
    subtypes = [event["subtype"] for event in run.of("system")]
    assert "compact_boundary" in subtypes
    assert 1 == len(proxied.fake.of("compact"))


async def test_a_rate_limit_is_waited_for(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    run = await cli.ask("go [[stub:err429 retry_after=6 times=1]]", cwd=repository)
    assert "stub-recovered after 1 failures" == run.ok().result["result"]
    retries = [event for event in run.of("system") if event["subtype"] == "api_retry"]
    assert [429] == [retry["error_status"] for retry in retries]
    assert retries[0]["retry_delay_ms"] >= 6000
    assert 2 == len(proxied.fake.of("main"))


@pytest.mark.parametrize("mode", ["fin", "rst", "clean"])
async def test_a_stream_that_is_cut_is_asked_for_again(
    proxied: Proxied, cli: ClaudeCLI, repository: Path, mode: str
) -> None:
    run = await cli.ask(f"go [[stub:cut after=3 mode={mode} times=1]]", cwd=repository)
    assert "stub-recovered after 1 failures" == run.ok().result["result"]
    finished = "request_finished"
    await eventually(lambda: len(proxied.daemon.events(finished)) >= 2)
    results = [event["result"] for event in proxied.daemon.events(finished)]
    assert ["error", "ok"] == results[:2]


async def test_half_a_tool_call_is_never_run(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    # Chat Completions of this kind send a call in one piece: there the ending is cut off.
    after = 2 if proxied.name == "cerebras" else 5
    run = await cli.ask(f"go [[stub:cut tool=1 after={after} times=1]]", cwd=repository)
    assert "stub-recovered after 1 failures" == run.ok().result["result"]
    assert [] == tools_used(run)


async def test_a_subagent_works_beside_the_main_conversation(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    run = await cli.ask("go [[stub:task]]", cwd=repository)
    assert FINAL == run.ok().result["result"]
    # The conversation asks, goes on and ends; the one without tool results is the subagent's.
    _, *later = proxied.fake.of("main")
    assert 1 == [tool_results(request) for request in later].count([])


async def test_a_deferred_tool_is_shown_once_the_model_has_asked_for_it(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    run = await cli.ask("go [[stub:toolsearch q=select:WebFetch]]", cwd=repository)
    assert FINAL == run.ok().result["result"]
    first, second = map(tool_names, proxied.fake.of("main"))
    assert "WebFetch" not in first
    assert "WebFetch" in second
    if proxied.name == "cerebras":
        assert "ToolSearch" in first
        assert "DeferredToolPlaceholder" not in first + second


async def test_a_web_search_that_the_backend_does_not_have_is_told_to_the_model(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    run = await cli.ask(
        "go [[stub:websearch]]", cwd=repository, env={"ENABLE_TOOL_SEARCH": "false"}
    )
    assert FINAL == run.ok().result["result"]
    told = " ".join(tool_results(proxied.fake.of("main")[-1]))
    is_missing = "is not available on this backend" in told
    assert (proxied.name == "cerebras") == is_missing


async def test_an_overloaded_backend_is_tried_again(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    run = await cli.ask("go [[stub:err529 times=2]]", cwd=repository)
    assert "stub-recovered after 2 failures" == run.ok().result["result"]


async def test_a_wrong_key_is_told_at_once(
    proxied: Proxied, cli: ClaudeCLI, repository: Path
) -> None:
    run = await cli.ask("go [[stub:err401 should_retry=false]]", cwd=repository)
    assert 1 == run.status
    assert 1 == len(proxied.fake.of("main"))
    assert "api key" in run.result["result"].lower()
