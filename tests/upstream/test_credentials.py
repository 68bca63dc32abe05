"""Secret references to keys; what goes wrong never shows one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmproxyd.config.schema import SecretRef
from llmproxyd.spi import Secret
from llmproxyd.upstream.credentials import Missing, from_variable, key_reader, resolve_secret

ENV = {"KEY": " key-1 \n", "EMPTY": " ", "TWO": "canary canary", "CONTROL": "canary\r\nx: y"}


def read_key(path: str) -> str:
    """A file system of three files."""
    match path:
        case "good":
            return "\tkey-2\n"
        case "empty":
            return "\n"
        case "wide":
            return "kanarienvögel-canary"
        case "binary":
            return b"canary\xff".decode()
        case _:
            raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        (SecretRef(env="KEY"), Secret("key-1")),
        (SecretRef(file="good"), Secret("key-2")),
        (SecretRef(literal=" key-3 "), Secret("key-3")),
    ],
    ids=["env", "file", "literal"],
)
def test_key_is_found_and_stripped(ref: SecretRef, expected: Secret) -> None:
    assert expected == resolve_secret(ref, ENV, read_key)


@pytest.mark.parametrize(
    ("ref", "reason", "hint"),
    [
        (
            SecretRef(env="GONE"),
            "the environment variable GONE is not set",
            'set GONE where the daemon starts, or write api_key = { file = "PATH" }',
        ),
        (SecretRef(env="EMPTY"), "the environment variable EMPTY is not set", "set EMPTY"),
        (SecretRef(env="TWO"), "the environment variable TWO does not hold a key", "one word"),
        (SecretRef(env="CONTROL"), "the environment variable CONTROL does not hold a key", ""),
        (SecretRef(file="no"), "the key file no can not be read: Permission denied", "check the"),
        (SecretRef(file="empty"), "the key file empty does not hold a key", "one word of visible"),
        (SecretRef(file="wide"), "the key file wide does not hold a key", "one word of visible"),
        (SecretRef(file="binary"), "the key file binary does not hold a key", "one word"),
        (SecretRef(literal="canary canary"), "the key has characters that no key", "one word"),
        (
            SecretRef(literal="canary\x7f"),
            "the key has characters that no key can have",
            "one word",
        ),
    ],
)
def test_what_is_no_key_is_explained_without_showing_it(
    ref: SecretRef, reason: str, hint: str
) -> None:
    missing = resolve_secret(ref, ENV, read_key)
    assert isinstance(missing, Missing)
    assert missing.reason.startswith(reason)
    assert hint in missing.hint
    assert "canary" not in "".join(missing)


@pytest.mark.parametrize(
    "ref", [SecretRef(env="hf_canary_canary"), SecretRef(file="sk-canary-canary")]
)
def test_key_written_in_place_of_its_source_is_redacted(ref: SecretRef) -> None:
    missing = resolve_secret(ref, ENV, read_key)
    assert isinstance(missing, Missing)
    assert "canary" not in "".join(missing)


def test_variable_alone_is_a_source_too() -> None:
    assert Secret("key-1") == from_variable("KEY", ENV)


def test_relative_key_file_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "my.key").write_text("key-4\n", encoding="utf-8")
    assert "key-4\n" == key_reader(tmp_path)("my.key")


def test_absolute_key_file_is_found_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "my.key").write_text("key-5", encoding="utf-8")
    assert "key-5" == key_reader(Path("/nowhere"))(str(tmp_path / "my.key"))


def test_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my.key").write_text("key-6", encoding="utf-8")
    assert "key-6" == key_reader(Path("/nowhere"))("~/my.key")


def test_key_file_that_is_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    missing = resolve_secret(SecretRef(file="pipe"), {}, key_reader(tmp_path))
    assert isinstance(missing, Missing)
    assert "the key file pipe can not be read: not a regular file" == missing.reason


def test_missing_key_file_is_named(tmp_path: Path) -> None:
    missing = resolve_secret(SecretRef(file="gone.key"), {}, key_reader(tmp_path))
    assert isinstance(missing, Missing)
    assert "the key file gone.key can not be read: No such file or directory" == missing.reason


def test_endless_key_file_is_cut_and_no_key(tmp_path: Path) -> None:
    (tmp_path / "big").write_text("canary " * 100_000, encoding="utf-8")
    missing = resolve_secret(SecretRef(file="big"), {}, key_reader(tmp_path))
    assert isinstance(missing, Missing)
    assert "canary" not in "".join(missing)
