"""Secret references to values. What goes wrong is told without ever showing a value."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from llmproxyd.config.schema import SecretRef
from llmproxyd.spi import Secret
from llmproxyd.wire.redact import redact

# Far above any key, far below what would hurt.
_MOST_BYTES = 64 * 1024

KeyReader = Callable[[str], str]


class Missing(NamedTuple):
    """Why there is no key, and how to mend it."""

    reason: str
    hint: str


def resolve_secret(ref: SecretRef, env: Mapping[str, str], read_key: KeyReader) -> Secret | Missing:
    """The key that `ref` refers to.

    Args:
        env: the environment of the daemon.
        read_key: the text of a key file; raises OSError or UnicodeDecodeError.
    """
    if ref.env is not None:
        return from_variable(ref.env, env)
    if ref.file is not None:
        return _from_file(ref.file, read_key)
    hint = "a key is one word of visible ASCII characters"
    return _checked(ref.literal or "", Missing("the key has characters that no key can have", hint))


def from_variable(name: str, env: Mapping[str, str]) -> Secret | Missing:
    """The key in the environment variable `name`; an empty one counts as not set."""
    shown = redact(name)  # a key may have been written in place of the name
    value = env.get(name, "").strip()
    if not value:
        hint = f'set {shown} where the daemon starts, or write api_key = {{ file = "PATH" }}'
        return Missing(f"the environment variable {shown} is not set", hint)
    return _checked(value, Missing(f"the environment variable {shown} does not hold a key", _HINT))


def _from_file(path: str, read_key: KeyReader) -> Secret | Missing:
    shown = redact(path)
    try:
        value = read_key(path).strip()
    except OSError as error:
        hint = "check the path, and that the daemon's user may read it"
        return Missing(f"the key file {shown} can not be read: {error.strerror or error}", hint)
    except UnicodeDecodeError:
        value = ""
    return _checked(value, Missing(f"the key file {shown} does not hold a key", _HINT))


_HINT = "it must hold the key and nothing else: one word of visible ASCII characters"


def _checked(value: str, otherwise: Missing) -> Secret | Missing:
    """A key travels in a header: what could not be sent, or could forge one, is refused here."""
    value = value.strip()
    is_one_word = value.isascii() and value.isprintable() and " " not in value
    return Secret(value) if value and is_one_word else otherwise


def key_reader(folder: Path) -> KeyReader:
    """Reads key files; relative paths start at `folder`, the one of the configuration file.

    Blocking: use it in a thread.
    """

    def read_key(path: str) -> str:
        file = folder / Path(path).expanduser()
        if file.exists() and not file.is_file():  # a pipe would wait for its writer
            raise OSError(errno.EINVAL, "not a regular file")
        with file.open("rb") as stream:
            return stream.read(_MOST_BYTES).decode()

    return read_key
