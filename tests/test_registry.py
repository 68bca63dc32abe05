"""A provider is one new file, here or in another package."""

import sys
from pathlib import Path

import pytest

from llmproxyd import backends
from llmproxyd.registry import discover

KINDS = [
    "anthropic",
    "cerebras",
    "litellm",
    "llamacpp",
    "ollama",
    "openai-compatible",
    "openrouter",
    "runpod",
    "self-hosted",
    "vast",
    "vllm",
]


def provider(kind: str) -> str:
    return f"from llmproxyd.spi import Backend\nBACKEND = Backend(kind={kind!r}, dialects=())\n"


@pytest.fixture
def providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder whose modules count as files of `backends/`."""
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("llmproxyd.backends.tried_")]:
        del sys.modules[name]
        delattr(backends, name.rpartition(".")[2])


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.startswith("tried_")]:
        del sys.modules[name]


def install(packages: Path, name: str, source: str, attribute: str = "BACKEND") -> None:
    (packages / f"tried_{name}.py").write_text(source)
    info = packages / f"tried_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tried-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[llmproxyd.backends]\n{name} = tried_{name}:{attribute}\n"
    )


def test_all_providers_of_the_product_are_found_in_order() -> None:
    assert KINDS == list(discover())


def test_kind_is_the_key() -> None:
    assert all(kind == backend.kind for kind, backend in discover().items())


def test_exactly_one_provider_is_the_default() -> None:
    assert ["anthropic"] == [kind for kind, backend in discover().items() if backend.is_default]


def test_new_provider_is_one_new_file(providers: Path) -> None:
    (providers / "tried_acme.py").write_text(provider("acme"))
    assert "acme" in discover()


def test_provider_of_another_package_is_found_by_its_entry_point(packages: Path) -> None:
    install(packages, "acme", provider("acme"))
    assert "acme" in discover()


def test_kind_that_is_defined_twice_names_both_origins(providers: Path) -> None:
    (providers / "tried_again.py").write_text(provider("vllm"))
    with pytest.raises(ValueError, match=r"twice: in module .*vllm and in module .*tried_again"):
        discover()


def test_entry_point_may_not_take_the_place_of_a_provider(packages: Path) -> None:
    install(packages, "thief", provider("anthropic"))
    with pytest.raises(ValueError, match=r"in module .*anthropic and in entry point thief = "):
        discover()


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import tried_missing_module", "ModuleNotFoundError: "),
        ("raise RuntimeError('not today')", "RuntimeError: not today"),
        ("", "AttributeError: "),
        ("BACKEND = 'acme'", "TypeError: it is a str, not a Backend"),
    ],
)
def test_broken_entry_point_is_reported_and_the_rest_still_works(
    packages: Path, source: str, problem: str
) -> None:
    install(packages, "broken", source)
    install(packages, "acme", provider("acme"))
    problems: list[str] = []
    assert sorted([*KINDS, "acme"]) == list(discover(problems.append))
    [sentence] = problems
    assert sentence.startswith("backend of entry point broken = tried_broken:BACKEND can not be")
    assert problem in sentence


def test_broken_entry_point_needs_nobody_to_report_to(packages: Path) -> None:
    install(packages, "broken", "raise RuntimeError")
    assert KINDS == list(discover())
