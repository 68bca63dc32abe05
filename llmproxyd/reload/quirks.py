"""The flags of `quirks = {…}` against the table of what exists."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from llmproxyd.config.places import KeyPath, Places
from llmproxyd.config.suggest import did_you_mean
from llmproxyd.errors import Problem
from llmproxyd.spi import Quirks


def read_quirks(
    written: Mapping[str, object], path: KeyPath, places: Places
) -> tuple[dict[str, Any], list[Problem]]:
    """The flags in `written` with the types of `Quirks`, and what is wrong with the others."""
    types = {field.name: field.type for field in msgspec.structs.fields(Quirks)}
    flags: dict[str, Any] = {}
    problems = []
    for name, value in written.items():
        if name not in types:
            hint = did_you_mean(name, types)
            problems.append(places.problem((*path, name), "unknown flag", hint))
        elif isinstance(value, int | float) and not 0 <= value < math.inf:
            problems.append(places.problem((*path, name), "must be a number from 0 up"))
        else:
            try:
                flags[name] = msgspec.convert(value, types[name])
            except msgspec.ValidationError as error:
                problems.append(places.problem((*path, name), *_explained(error, types[name])))
    return flags, problems


def _explained(error: msgspec.ValidationError, wanted: Any) -> tuple[str, str]:
    """msgspec's sentence in our words, and the values that would do."""
    choices = [choice for choice in get_args(wanted) if isinstance(choice, str)]
    if choices:
        return "unknown value", f"known: {', '.join(choices)}"
    said = str(error).partition(" - at ")[0].replace("`", "")
    return said[:1].lower() + said[1:], ""
