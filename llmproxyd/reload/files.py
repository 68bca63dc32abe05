"""The configuration file on disk, and the loader that turns it and the other layers into one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from llmproxyd.config.layers import Sources, load_config
from llmproxyd.config.parse import Parsed
from llmproxyd.errors import ConfigError, Problem

# A configuration of thousands of backends is far smaller.
_MOST_BYTES = 4 * 1024 * 1024


class FileText(NamedTuple):
    """What the file holds.

    Attributes:
        is_private: nobody but its owner can read it.
    """

    text: str
    is_private: bool


class ConfigFile:
    """The file at `path`.

    Args:
        is_required: it was asked for by name, so its absence is an error; the default file may
            be missing, which is the same as an empty one.
    """

    def __init__(self, path: Path, *, is_required: bool) -> None:
        self.path = path
        self._is_required = is_required

    def read(self) -> FileText:
        """The whole file as it is now. Blocking: use it in a thread.

        Raises:
            ConfigError: one problem that names the file.
        """
        try:
            return self._read()
        except FileNotFoundError as error:
            if not self._is_required:
                return FileText("", is_private=True)
            raise self._error("there is no such file", "check --config") from error
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            line = before.count(b"\n") + 1
            column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
            raise self._error("not UTF-8 text", "save it as UTF-8", line, column) from error
        except OSError as error:
            raise self._error(f"can not be read: {error.strerror}") from error

    def _read(self) -> FileText:
        mode = self.path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode) and os.fspath(self.path) != os.devnull:
            # A pipe would wait for its writer, and be empty at the next reload.
            raise OSError(errno.EINVAL, "not a regular file")
        with self.path.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
            mode = os.fstat(stream.fileno()).st_mode
        if len(raw) > _MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return FileText(raw.decode("utf-8-sig"), is_private=not mode & 0o077)

    def _error(self, message: str, hint: str = "", line: int = 0, column: int = 0) -> ConfigError:
        return ConfigError([Problem("", message, hint, str(self.path), line, column)])


class ConfigLoader:
    """Loads the configuration from all its sources, again and again.

    Args:
        env: the environment of the daemon.
        options: options of its command line, as in `layers.OPTIONS`.
    """

    def __init__(
        self,
        file: ConfigFile,
        env: Mapping[str, str],
        options: Mapping[str, str | int | None],
    ) -> None:
        self._file = file
        self._env = env
        self._options = options

    def load(self) -> Parsed:
        """The configuration as it is written now. Blocking: use it in a thread.

        Raises:
            ConfigError: the file can not be read, or is not TOML at all.
        """
        text, is_private = self._file.read()
        parsed = load_config(
            Sources(text=text, file=str(self._file.path), env=self._env, options=self._options)
        )
        if is_private:
            return parsed
        return msgspec.structs.replace(
            parsed, problems=(*parsed.problems, *self._exposed_keys(parsed))
        )

    def _exposed_keys(self, parsed: Parsed) -> list[Problem]:
        """A key in a file that other users can read is a key they have."""
        hint = f"chmod 600 {self._file.path}"
        return [
            parsed.places.problem(
                ("backends", name, "api_key"), "other users can read this key in the file", hint
            )
            for name, backend in parsed.config.backends.items()
            if backend.api_key is not None and backend.api_key.literal is not None
        ]
