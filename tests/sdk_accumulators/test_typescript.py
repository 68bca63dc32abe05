"""The official TypeScript SDK makes of every golden stream the message that it folds into."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.real import installed
from tests.sdk_accumulators.streams import (
    BROKEN,
    STREAMS,
    WHOLE,
    comparable,
    error_of,
    message_of,
)

SCRIPT = Path(__file__).with_name("accumulate.mjs")
DOORS = ["stable", "beta"]


async def accumulated(streams_url: str) -> dict[str, dict[str, Any]]:
    """What `accumulate.mjs` says of every stream; one run, as starting node is most of the time."""
    folder = installed.require("npm-sdk").parent
    node = shutil.which("node")
    assert node, "node is not installed"
    process = await asyncio.create_subprocess_exec(
        *(node, str(SCRIPT), str(folder), streams_url, *STREAMS),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert 0 == process.returncode, err.decode()
    return json.loads(out)


@pytest.mark.real
async def test_messages_are_the_folded_ones_and_errors_are_raised(streams_url: str) -> None:
    found = await accumulated(streams_url)
    for door in DOORS:
        made = {name: comparable(found[name][door]["message"]) for name in WHOLE}
        assert {name: comparable(message_of(name)) for name in WHOLE} == made
        raised = {name: found[name][door]["error"]["body"] for name in sorted(BROKEN)}
        assert {name: error_of(name) for name in sorted(BROKEN)} == raised
