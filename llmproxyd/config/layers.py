"""The layers of the configuration: defaults < file < environment < command line.

Everything is an argument, so the result is a function of the sources.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from llmproxyd.config.parse import Parsed, parse_tree, read_toml
from llmproxyd.config.places import KeyPath, Places

# Later ones win.
VARIABLES: dict[str, KeyPath] = {
    "LLM_BACKEND": ("backend",),
    "LLM_PROXY_PORT": ("server", "port"),
}
OPTIONS: dict[str, KeyPath] = {
    "--host": ("server", "host"),
    "--port": ("server", "port"),
}
_NUMBERS = {("server", "port")}
_MOST_DIGITS = 10


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """All that a configuration is made of.

    Attributes:
        text: what the file holds; "" without a file.
        file: its name in problems.
        env: the environment of the daemon.
        options: options of the command line, as in `OPTIONS`; None means not given.
    """

    text: str = ""
    file: str = ""
    env: Mapping[str, str] = {}
    options: Mapping[str, str | int | None] = {}


def load_config(sources: Sources) -> Parsed:
    """The configuration that all sources give together.

    The file is also judged for itself: an override hides none of its mistakes.

    Raises:
        ConfigError: the file is not TOML at all.
    """
    tree, places = read_toml(sources.text, sources.file)
    alone = parse_tree(tree, places)
    given = dict(_overrides(sources))
    if not given:
        return alone
    merged = tree
    for path, (_, value) in given.items():
        merged = _with(merged, path, value)
    origins = {path: source for path, (source, _) in given.items()}
    parsed = parse_tree(merged, Places(places.file, places.positions, origins))
    problems = tuple(dict.fromkeys((*alone.problems, *parsed.problems)))
    return Parsed(parsed.config, parsed.places, problems)


def _overrides(sources: Sources) -> list[tuple[KeyPath, tuple[str, object]]]:
    """Path, source and value of every override, in rising order; empty variables are unset."""
    found: list[tuple[KeyPath, tuple[str, object]]] = []
    for given, known in ((sources.env, VARIABLES), (sources.options, OPTIONS)):
        for source, path in known.items():
            value = given.get(source)
            text = "" if value is None else str(value).strip()
            if text:
                found.append((path, (source, _number(text) if path in _NUMBERS else text)))
    return found


def _number(text: str) -> int | str:
    """A number where `text` is one; anything else is left for the decoder to refuse."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else text


def _with(tree: Mapping[str, object], path: KeyPath, value: object) -> dict[str, object]:
    """A copy of `tree` with `value` at `path`."""
    head, *rest = path
    if rest:
        inner = tree.get(str(head))
        value = _with(inner if isinstance(inner, Mapping) else {}, tuple(rest), value)
    return {**tree, str(head): value}
