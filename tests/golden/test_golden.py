"""Every golden case gives the very bytes that its folder holds, and says where it comes from."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from llmproxyd.registry import discover
from tests.golden.replay import OUTPUTS, about, folders, play
from tests.golden.rewrite import rewrite

ROOT = Path(__file__).parents[2]
CASES = [pytest.param(folder, id=f"{folder.parent.name}/{folder.name}") for folder in folders()]
INPUTS = {
    *("about.toml", "request.json", "upstream.sse", "upstream.json", "upstream.html"),
    *("upstream_mended.sse", "upstream_mended.json"),
}
LICENSES = {"MIT", "Apache-2.0"}
DIALECTS = {dialect.name for backend in discover().values() for dialect in backend.dialects}


def test_every_dialect_has_its_cases() -> None:
    for dialect in DIALECTS:
        assert len([folder for folder in folders() if folder.parent.name == dialect]) >= 12


@pytest.mark.parametrize("folder", CASES)
def test_case_gives_the_bytes_of_its_folder(folder: Path) -> None:
    expected = {name: (folder / name).read_bytes() for name in OUTPUTS if (folder / name).exists()}
    assert expected == play(folder)


@pytest.mark.parametrize("folder", CASES)
def test_case_holds_nothing_else(folder: Path) -> None:
    assert set() == {path.name for path in folder.iterdir()} - INPUTS - OUTPUTS


@pytest.mark.parametrize("folder", CASES)
def test_request_file_is_indented_as_the_outputs_are(folder: Path) -> None:
    text = (folder / "request.json").read_bytes()
    assert text == msgspec.json.format(text, indent=2) + b"\n"


@pytest.mark.parametrize("folder", CASES)
def test_provenance_is_told(folder: Path) -> None:
    told = about(folder)
    assert told.shows
    assert told.license in LICENSES
    for word in told.source.split():
        if word.startswith(("tests/fixtures/", "tests/recordings/")):
            path = ROOT / word.rstrip(",;")
            assert path.exists()
            notice = path.parent / "LICENSE"
            name = "Apache License" if told.license == "Apache-2.0" else "MIT License"
            assert not notice.exists() or name in notice.read_text()


def test_rewriting_changes_nothing_that_is_up_to_date(tmp_path: Path) -> None:
    source = folders()[0]
    folder = tmp_path / source.parent.name / source.name
    folder.mkdir(parents=True)
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "downstream.sse").write_bytes(b"stale")
    changed = rewrite(folder)
    assert "downstream.sse" in changed
    assert [] == rewrite(folder)
