"""A provider is named in its own file only (docs/architecture.md, law 4).

What may be named elsewhere are wire formats and ways of behaving that are called after the
server that began them; each such place is listed, and the list may only shrink.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmproxyd.registry import discover

ROOT = Path(__file__).parent.parent
BACKENDS = "llmproxyd/backends/"

# Source file to the words that it may use, each with what the word means there.
NAMED_AFTER = {
    "llmproxyd/config/schema.py": {"anthropic"},  # a dialect
    "llmproxyd/dialects/anthropic/dialect.py": {"anthropic"},  # a dialect
    "llmproxyd/upstream/probe.py": {
        "anthropic",  # a dialect
        *("litellm", "llamacpp", "vllm"),  # `owned_by` of a server's model list
    },
    "llmproxyd/quirks.py": {"llamacpp", "openrouter", "vllm"},  # values of quirks
    "llmproxyd/wire/tool_schema.py": {"llamacpp"},  # a schema profile
    "llmproxyd/dialects/openai_chat/request.py": {"vllm"},  # a way to continue a prefill
    "llmproxyd/dialects/openai_chat/thinking.py": {"openrouter"},  # a reasoning control
}

SOURCES = {
    str(path.relative_to(ROOT)): path
    for package in ("llmproxyd", "llmproxyctl")
    for path in sorted((ROOT / package).rglob("*.py"))
    if not str(path.relative_to(ROOT)).startswith(BACKENDS)
}


def strings(source: str) -> Iterator[str]:
    """The string literals of a file, docstrings left out."""
    tree = ast.parse(SOURCES[source].read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in documentation:
            yield node.value


@pytest.mark.parametrize("source", SOURCES)
def test_no_provider_is_named(source: str) -> None:
    named = {text.lower() for text in strings(source)} & set(discover())
    assert NAMED_AFTER.get(source, set()) == named


@pytest.mark.parametrize("source", SOURCES)
def test_no_address_or_key_of_a_provider_is_named(source: str) -> None:
    backends = discover().values()
    addresses = {backend.base_url for backend in backends if backend.base_url}
    own = addresses | {backend.key_env for backend in backends if backend.key_env}
    assert set() == {word for word in own for text in strings(source) if word in text}


def test_listed_files_exist() -> None:
    assert set() == set(NAMED_AFTER) - set(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
def test_only_the_registry_imports_providers(source: str) -> None:
    tree = ast.parse(SOURCES[source].read_text())
    imported = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    } | {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    expected = {"llmproxyd.backends"} if source == "llmproxyd/registry.py" else set()
    assert expected == {name for name in imported if name.startswith("llmproxyd.backends")}
