"""Structured output (translation spec, section 1.10)."""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxyd.spi import Quirks
from llmproxyd.wire.tool_schema import clean_schema

_INSTRUCTION = "Answer with one JSON value that matches this JSON Schema, and with nothing else:\n"


class FormatPlan(msgspec.Struct, frozen=True):
    """How the backend is told what shape the answer must have.

    Attributes:
        fields: `response_format`, if it is sent.
        system_text: words for the system prompt, where the field is not enough.
    """

    fields: dict[str, Any] = {}
    system_text: str = ""


def plan_format(body: dict[str, Any], quirks: Quirks, *, has_tools: bool) -> FormatPlan:
    """What to send for `output_config.format`, or the older `output_format`."""
    schema = _schema(body)
    if schema is None:
        return FormatPlan()
    cleaned = clean_schema(schema, quirks.schema_profile)
    system_text = _INSTRUCTION + msgspec.json.encode(cleaned).decode()
    if has_tools and not quirks.response_format_with_tools:
        return FormatPlan({}, system_text)
    match quirks.response_format:
        case "json_schema":
            named = {"name": "output", "schema": cleaned, "strict": quirks.strict_format}
            kind = {"type": "json_schema", "json_schema": named}
            return FormatPlan({"response_format": kind})
        case "json_object":
            return FormatPlan({"response_format": {"type": "json_object"}}, system_text)
        case _:
            return FormatPlan({}, system_text)


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    config = body.get("output_config")
    given = config.get("format") if isinstance(config, dict) else None
    form = given if given is not None else body.get("output_format")
    schema = form.get("schema") if isinstance(form, dict) else None
    return schema if isinstance(schema, dict) else None
