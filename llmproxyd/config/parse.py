"""The text of a configuration file to `Config`, with the position of everything in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

import msgspec

from llmproxyd.config.checks import check_config
from llmproxyd.config.decode import decode_config
from llmproxyd.config.places import Places, Position
from llmproxyd.config.positions import key_positions
from llmproxyd.config.schema import Config
from llmproxyd.errors import ConfigError, Problem


class Parsed(msgspec.Struct, frozen=True):
    """A configuration and all that is wrong with it so far.

    Problems are data until somebody has to act on the configuration: the next stage goes on
    with what could be read and adds what it finds, so that a person sees everything at once.

    Attributes:
        config: with defaults in place of what could not be read.
        places: where each key was written.
        problems: empty for a good configuration.
    """

    config: Config
    places: Places
    problems: tuple[Problem, ...] = ()


def parse_config(text: str, file: str) -> Parsed:
    """Read a TOML configuration; `file` is its name in problems.

    Raises:
        ConfigError: not TOML at all, so that nothing else can be said about it.
    """
    return parse_tree(*read_toml(text, file))


def parse_tree(tree: Mapping[str, object], places: Places) -> Parsed:
    """Read a configuration that is TOML already."""
    config, problems = decode_config(tree, places)
    return Parsed(config, places, (*problems, *check_config(config, places)))


def read_toml(text: str, file: str) -> tuple[dict[str, object], Places]:
    """The tree of a TOML document, and where its keys stand.

    Raises:
        ConfigError: one problem, with the position of the syntax error.
    """
    try:
        return tomllib.loads(text), Places(file, key_positions(text))
    except RecursionError:
        problem = Problem("", "not valid TOML: nested too deeply", file=file)
    except ValueError as error:
        problem = _syntax_problem(error, text, file)
    raise ConfigError([problem])


_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SYNTAX_HINTS = (
    ("Invalid value", "text needs quotes; true and false are lower case"),
    ("Cannot overwrite a value", "the key is written twice"),
    ("Duplicate inline table key", "the key is written twice"),
    ("Cannot declare", "the table is written twice; join the two"),
    ("Cannot mutate", "the table is written twice; join the two"),
    ("Unterminated string", "a quote is not closed"),
    ("Illegal character '\\n'", "a quote is not closed on its line"),
    ("Unescaped '\\'", "double every backslash, or use single quotes"),
    ("Invalid initial character for a key", "other keys than A-Z a-z 0-9 _ - need quotes"),
    ("Invalid statement", "a line is a key, = and a value, or a [table]"),
    ("Expected newline", "one key and value a line; text needs quotes"),
)


def _syntax_problem(error: ValueError, text: str, file: str) -> Problem:
    """tomllib's error as a problem; before Python 3.14 its position is only in its text."""
    said = str(error)
    where = _AT.search(said)
    message = said[: where.start()] if where else said
    if where and where[1]:
        line, column = int(where[1]), int(where[2])
    else:  # the end: what is wrong stands before the blank lines there
        line, column = _end_of(text)
    hint = next((hint for start, hint in _SYNTAX_HINTS if message.startswith(start)), "")
    summary = f"not valid TOML: {message[:1].lower()}{message[1:]}"
    return Problem("", summary, hint, file, line, column)


def _end_of(text: str) -> Position:
    lines = text.rstrip().split("\n")
    return Position(len(lines), len(lines[-1]) + 1)
