"""Structured output (section 1.10)."""

from __future__ import annotations

import pytest

from llmproxyd.dialects.openai_chat.formats import FormatPlan, plan_format
from llmproxyd.spi import Quirks

SCHEMA = {"$schema": "s", "type": "object", "properties": {"t": {"type": "string", "format": "x"}}}
CLEANED = {"type": "object", "properties": {"t": {"type": "string", "format": "x"}}}
FORM = {"type": "json_schema", "schema": SCHEMA}
BODY = {"output_config": {"format": FORM}}
TEXT = (
    "Answer with one JSON value that matches this JSON Schema, and with nothing else:\n"
    '{"type":"object","properties":{"t":{"type":"string","format":"x"}}}'
)


def as_schema(schema=CLEANED, *, strict=True):
    named = {"name": "output", "schema": schema, "strict": strict}
    return FormatPlan({"response_format": {"type": "json_schema", "json_schema": named}})


def plan(body=BODY, *, has_tools=False, **flags):
    return plan_format(body, Quirks(**flags), has_tools=has_tools)


@pytest.mark.parametrize("body", [BODY, {"output_format": FORM}])
def test_schema_is_cleaned_and_sent(body):
    assert as_schema() == plan(body)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"strict_format": False}, as_schema(strict=False)),
        (
            {"schema_profile": "plain"},
            as_schema({"type": "object", "properties": {"t": {"type": "string"}}}),
        ),
        (
            {"response_format": "json_object"},
            FormatPlan({"response_format": {"type": "json_object"}}, TEXT),
        ),
        ({"response_format": "none"}, FormatPlan({}, TEXT)),
        ({"has_tools": True}, as_schema()),
        ({"has_tools": True, "response_format_with_tools": False}, FormatPlan({}, TEXT)),
        ({"has_tools": False, "response_format_with_tools": False}, as_schema()),
    ],
)
def test_r27_schema_goes_the_way_that_the_backend_knows(flags, expected):
    assert expected == plan(**flags)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"output_config": None},
        {"output_config": {"effort": "low"}},
        {"output_config": {"format": None}},
        {"output_config": {"format": {"type": "json_schema"}}},
        {"output_format": "json"},
    ],
)
def test_nothing_is_said_without_a_schema(body):
    assert FormatPlan() == plan(body)
