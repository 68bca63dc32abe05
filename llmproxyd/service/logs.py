"""Where log events go: one sink for our own events and for those of the libraries.

    our events ──▶ structlog ───────────▶ add ▸ redact ▸ render ──▶ stream
    stdlib logging ──▶ ProcessorFormatter ──────▲

Secrets leave in the last step before rendering, so tracebacks, already text by then, are covered.
A terminal would act upon control characters, and a newline would forge a second event: in
console form they are written out; JSON escapes them by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from llmproxyd.config.schema import LogConfig
from llmproxyd.wire.redact import MASK, redact

Secrets = Callable[[], Iterable[str]]

# Fields whose value is a secret whatever it looks like; compared in lower case with `-` as `_`.
_SECRET_FIELDS: Final = frozenset(
    {
        "api_key",
        "authorization",
        "client_token",
        "cookie",
        "password",
        "proxy_authorization",
        "secret",
        "set_cookie",
        "token",
        "x_api_key",
    }
)
_PLAIN: Final = (bool, int, float, type(None))
_TEXT_OR_PLAIN: Final = frozenset({str, *_PLAIN})
_CONTROLS: Final = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
} | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
_JSON_CONTROLS: Final = {code: f"\\u{code:04x}" for code in _CONTROLS}
_DELETE: Final = "\x7f"
_TRACEBACK: Final = "exception"


class Logs:
    """The open log: make one, pass `logger` around, close it last.

    Args:
        config: level and format; format `auto` is console on a terminal, else JSON lines.
        stream: gets one line per event, or several for a traceback on the console.
        secrets: the secret values in force; asked for at every event.
        color: colors in console form.
    """

    def __init__(
        self, config: LogConfig, stream: TextIO, secrets: Secrets, *, color: bool = False
    ) -> None:
        is_console = config.format == "console" or (config.format == "auto" and stream.isatty())
        annotate: list[Processor] = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ]
        finish: list[Processor] = [structlog.processors.format_exc_info, _redactor(secrets)]
        if is_console:
            # In our own order: what matters stands first, as in JSON.
            renderer = structlog.dev.ConsoleRenderer(colors=color, sort_keys=False)
            finish += [_without_controls, renderer]
        else:
            finish.append(_to_json)
        level = logging.getLevelNamesMapping()[config.level.upper()]
        self.logger: FilteringBoundLogger = structlog.wrap_logger(
            _Lines(stream),
            processors=[*annotate, *finish],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            context_class=dict,
        ).bind()
        self._handler = logging.StreamHandler(stream)
        self._handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[*annotate, structlog.stdlib.add_logger_name],
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
            )
        )
        self._root = logging.getLogger()
        self._level_before = self._root.level
        self._root.addHandler(self._handler)
        self._root.setLevel(level)

    def close(self) -> None:
        """Take the libraries' events off the stream again; the stream stays open."""
        self._root.removeHandler(self._handler)
        self._root.setLevel(self._level_before)


class _Lines:
    """What structlog writes to. A full disk or a closed terminal must not fail a request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = exception = msg


def _redactor(secrets: Secrets) -> Processor:
    def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        known = tuple(secrets())
        if _is_harmless(event, known):
            return event
        return {name: _redacted(name, value, known) for name, value in event.items()}

    return redact_event


def _is_harmless(event: EventDict, secrets: tuple[str, ...]) -> bool:
    """Nothing in it needs redaction. One look at all texts at once: the line of every request."""
    texts = [value for value in event.values() if type(value) is str]
    others = [value for value in event.values() if type(value) not in _TEXT_OR_PLAIN]
    if others or any(map(_is_secret_field, event)):
        return False
    joined = "\n".join(texts)
    return redact(joined, secrets) == joined


@lru_cache(maxsize=1024)
def _is_secret_field(name: str) -> bool:
    return name.lower().replace("-", "_") in _SECRET_FIELDS


def _redacted(name: str, value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if _is_secret_field(name):
        return MASK
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", item, secrets) for item in value]
    return redact(str(value), secrets)


def _to_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    line = msgspec.json.encode(event, enc_hook=str).decode()
    if line.isascii() and _DELETE not in line:
        return line  # msgspec escapes the rest of the control characters
    return line.translate(_JSON_CONTROLS)


def _without_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    traceback = event.pop(_TRACEBACK, None)
    clean = {name.translate(_CONTROLS): _printable(value) for name, value in event.items()}
    if traceback is not None:
        # The bar keeps a line of a traceback from passing for an event of its own.
        lines = str(traceback).split("\n")
        clean[_TRACEBACK] = "\n".join("  | " + line.translate(_CONTROLS) for line in lines)
    return clean


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_CONTROLS)
    return value if isinstance(value, _PLAIN) else repr(value).translate(_CONTROLS)


def wants_color(stream: TextIO, env: Mapping[str, str]) -> bool:
    """Colors on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return stream.isatty() and not env.get("NO_COLOR") and env.get("TERM") != "dumb"
