"""The file on disk, and the loader."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmproxyd.errors import ConfigError, Problem
from llmproxyd.reload.files import ConfigFile, ConfigLoader, FileText

LITERAL = "[backends.x]\ntype = 'vllm'\napi_key = 'canary-key'\n"


def write(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def problem_of(path: Path) -> Problem:
    with pytest.raises(ConfigError) as caught:
        ConfigFile(path, is_required=False).read()
    (problem,) = caught.value.problems
    assert str(path) == problem.file
    return problem


@pytest.mark.parametrize(
    ("content", "expected"),
    [("a = 1\n", "a = 1\n"), (b"", ""), ("ü".encode("utf-8-sig"), "ü"), (b"a\r\nb", "a\r\nb")],
    ids=["text", "empty", "byte order mark", "windows"],
)
def test_file_is_read_as_text(tmp_path: Path, content: str | bytes, expected: str) -> None:
    file = ConfigFile(write(tmp_path / "c.toml", content), is_required=True)
    assert FileText(expected, is_private=True) == file.read()


def test_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = ConfigFile(write(tmp_path / "c.toml", "a = 1"), is_required=True)
    file.read()
    other = write(tmp_path / "new", "a = 2")
    other.rename(tmp_path / "c.toml")
    assert "a = 2" == file.read().text


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o610, False)],
)
def test_file_is_private_when_only_its_owner_has_rights(
    tmp_path: Path, mode: int, expected: bool
) -> None:
    file = ConfigFile(write(tmp_path / "c.toml", "", mode), is_required=True)
    assert expected is file.read().is_private


def test_absent_default_file_is_an_empty_one(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "no" / "c.toml", is_required=False)
    assert FileText("", is_private=True) == file.read()


def test_absent_file_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        ConfigFile(tmp_path / "c.toml", is_required=True).read()
    assert f"{tmp_path}/c.toml: there is no such file (check --config)" == str(caught.value)


def test_null_device_is_an_empty_file() -> None:
    assert "" == ConfigFile(Path("/dev/null"), is_required=True).read().text


def test_folder_is_no_configuration(tmp_path: Path) -> None:
    assert "can not be read: Is a directory" == problem_of(tmp_path).message


def test_path_through_a_file_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "file", "")
    assert "can not be read: Not a directory" == problem_of(file / "c.toml").message


def test_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.toml")
    assert "can not be read: not a regular file" == problem_of(tmp_path / "c.toml").message


def test_huge_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "c.toml").open("wb") as stream:
        stream.truncate(5 * 1024 * 1024)
    assert "can not be read: File too large" == problem_of(tmp_path / "c.toml").message


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [(b"\xff", 1, 1), (b"a = 1\nb = '\xc3\xbc\xff'", 2, 7), (b"\xc3", 1, 1)],
)
def test_bytes_that_are_no_text_are_located(
    tmp_path: Path, content: bytes, line: int, column: int
) -> None:
    problem = problem_of(write(tmp_path / "c.toml", content))
    assert ("not UTF-8 text", line, column) == (problem.message, problem.line, problem.column)


def test_loader_joins_the_layers(tmp_path: Path) -> None:
    file = ConfigFile(write(tmp_path / "c.toml", "backend = 'a'"), is_required=True)
    config = ConfigLoader(file, {"LLM_BACKEND": "b"}, {"--port": 7}).load().config
    assert ("b", 7) == (config.backend, config.server.port)


def test_literal_key_in_a_private_file_is_fine(tmp_path: Path) -> None:
    file = ConfigFile(write(tmp_path / "c.toml", LITERAL), is_required=True)
    assert () == ConfigLoader(file, {}, {}).load().problems


def test_literal_key_in_an_open_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.toml", f"{LITERAL}[backends.y]\ntype = 'vllm'\napi_key.env = 'A'\n", 0o644
    )
    (problem,) = ConfigLoader(ConfigFile(path, is_required=True), {}, {}).load().problems
    assert (
        f"{path}:3:1: backends.x.api_key: other users can read this key in the file (chmod 600 {path})"
        == str(problem)
    )


def test_open_file_without_keys_is_fine(tmp_path: Path) -> None:
    path = write(tmp_path / "c.toml", "[backends.y]\ntype = 'vllm'\napi_key.env = 'A'\n", 0o644)
    assert () == ConfigLoader(ConfigFile(path, is_required=True), {}, {}).load().problems
