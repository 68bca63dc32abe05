"""JSON Schema of tools: what is cleaned away, and what survives (R14, section 1.5)."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxyd.wire.tool_schema import clean_schema, fits_strict, tool_parameters

EMPTY = {"type": "object", "properties": {}}


def props(**properties):
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(None, EMPTY, id="absent"),
        pytest.param(True, EMPTY, id="boolean"),
        pytest.param("x", EMPTY, id="not a schema"),
        pytest.param({}, EMPTY, id="empty"),
        pytest.param({"type": None}, EMPTY, id="type null"),
        pytest.param({"properties": None}, EMPTY, id="properties null"),
        pytest.param({"properties": []}, EMPTY, id="properties of a wrong type"),
        pytest.param({"required": None}, EMPTY, id="required null"),
        pytest.param({"required": ["a"]}, EMPTY, id="required without property"),
        pytest.param({"required": "a"}, EMPTY, id="required of a wrong type"),
        pytest.param(
            {"properties": {"a": {}}, "required": ["b", "a", 3]},
            {**props(a={}), "required": ["a"]},
            id="required keeps what exists",
        ),
        pytest.param(
            {"$schema": "s", "$id": "i", "$comment": "c", "additionalProperties": False},
            {**EMPTY, "additionalProperties": False},
            id="R14 meta keywords go",
        ),
        pytest.param(
            props(**{"$schema": {"$schema": "s", "type": "string"}, "format": {}, "type": {}}),
            props(**{"$schema": {"type": "string"}, "format": {}, "type": {}}),
            id="R14 properties may be called like keywords",
        ),
    ],
)
def test_parameters_are_an_object_schema_whatever_was_sent(schema, expected):
    assert expected == tool_parameters(schema)


def test_r14_schema_without_type_and_with_null_required():
    schema = {"$schema": "x", "properties": {"$schema": {"type": "string"}}, "required": None}
    assert props(**{"$schema": {"type": "string"}}) == tool_parameters(schema)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, {}),
        (False, {"not": {}}),
        (None, {}),
        ({"properties": {"a": True, "b": False}}, {"properties": {"a": {}, "b": {"not": {}}}}),
        ({"properties": {"a": None}}, {"properties": {"a": {}}}),
        ({"items": True}, {"items": {}}),
        ({"items": [True, {"$id": "x"}]}, {"items": [{}, {}]}),
        ({"anyOf": [False, {"const": 1}]}, {"anyOf": [{"not": {}}, {"const": 1}]}),
        ({"not": {"$comment": "c"}}, {"not": {}}),
        ({"additionalProperties": True}, {"additionalProperties": True}),
        ({"additionalProperties": {"$id": "x"}}, {"additionalProperties": {}}),
        (
            {"dependencies": {"a": ["b"], "c": {"$id": "x"}}},
            {"dependencies": {"a": ["b"], "c": {}}},
        ),
        ({"$defs": {"A": {"$comment": "c"}}}, {"$defs": {"A": {}}}),
        ({"default": {"$schema": 1, "x": True}}, {"default": {"$schema": 1, "x": True}}),
        ({"enum": [True, {"$id": 1}]}, {"enum": [True, {"$id": 1}]}),
        ({"const": {"$id": 1}}, {"const": {"$id": 1}}),
        ({"examples": [{"$comment": 1}]}, {"examples": [{"$comment": 1}]}),
        (
            {"format": "uri", "pattern": "a", "minimum": 1},
            {"format": "uri", "pattern": "a", "minimum": 1},
        ),
        ({"type": "object", "required": None}, {"type": "object"}),
        ({"items": 5}, {"items": 5}),
    ],
)
def test_full_profile_cleans_every_level_and_no_data(schema, expected):
    assert expected == clean_schema(schema)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "format": "uri", "pattern": "a", "minLength": 1}, {"type": "string"}),
        ({"minimum": 0, "exclusiveMaximum": 9, "multipleOf": 2, "maxItems": 3}, {}),
        ({"if": {}, "then": {}, "else": {}, "propertyNames": {}}, {}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"const": "a", "enum": ["a", "b"]}, {"enum": ["a", "b"]}),
        ({"type": ["null", "integer"]}, {"type": "integer"}),
        ({"type": ["null"]}, {"type": "null"}),
        ({"properties": {"format": {"format": "x"}}}, {"properties": {"format": {}}}),
        (
            {"$defs": {"A": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/A"}}},
            {"properties": {"a": {"type": "string"}}},
        ),
        (
            {"definitions": {"a/b": {"type": "string"}}, "items": {"$ref": "#/definitions/a~1b"}},
            {"items": {"type": "string"}},
        ),
        (
            {"$defs": {"A": {"type": "string"}}, "items": {"$ref": "#/$defs/A", "title": "t"}},
            {"items": {"type": "string", "title": "t"}},
        ),
        ({"items": {"$ref": "#/nowhere"}}, {"items": {}}),
        ({"items": {"$ref": "http://x/y"}}, {"items": {}}),
        ({"items": {"$ref": 5}}, {"items": {}}),
        ({"$defs": {"A": True}, "items": {"$ref": "#/$defs/A"}}, {"items": {}}),
        ({"items": {"$ref": "#"}}, {"items": {"items": {}}}),
        (True, {}),
    ],
)
def test_plain_profile_leaves_what_weak_grammars_read(schema, expected):
    assert expected == clean_schema(schema, "plain")


def test_references_that_double_at_each_level_are_cut_off():
    levels = {f"L{n}": {"anyOf": [{"$ref": f"#/$defs/L{n + 1}"}] * 2} for n in range(40)}
    cleaned = clean_schema({"$defs": levels, "items": {"$ref": "#/$defs/L0"}}, "plain")
    assert len(str(cleaned)) < 100_000


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"pattern": "^a$"}, {"pattern": "^a$"}),
        ({"pattern": "a"}, {}),
        ({"pattern": 5}, {}),
        ({"maxLength": 1000, "maxItems": 1000}, {"maxLength": 1000, "maxItems": 1000}),
        ({"maxLength": 524288, "maxItems": 1001, "minLength": 2000}, {"minLength": 2000}),
        ({"format": "uri"}, {"format": "uri"}),
    ],
)
def test_llamacpp_profile_drops_what_its_grammar_can_not_hold(schema, expected):
    assert expected == clean_schema(schema, "llamacpp")


CLOSED = {"additionalProperties": False}


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels - 1):
        schema = {"type": "object", "properties": {"a": schema}, **CLOSED}
    return schema


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({**EMPTY, **CLOSED}, True),
        (EMPTY, False),
        ({**props(a={"type": "object"}), **CLOSED}, False),
        ({**props(a={"type": "string", "pattern": "^a$"}), **CLOSED}, False),
        (
            {**props(a={"type": "array", "items": {"type": "string"}, "minItems": 1}), **CLOSED},
            False,
        ),
        ({**props(a={"type": "string", "description": "x" * 5000}), **CLOSED}, False),
        (nested(10), True),
        (nested(11), False),
        ({**props(a={"$ref": "#/$defs/A"}), "$defs": {"A": {"type": "string"}}, **CLOSED}, True),
        ({**props(a={"$ref": "#"}), **CLOSED}, False),
        ({**props(a={"anyOf": [{"type": "string"}, {"type": "null"}]}), **CLOSED}, True),
        ({**props(a=5), **CLOSED}, True),
    ],
)
def test_strict_mode_is_for_closed_shallow_plain_schemas(schema, fits):
    assert fits is fits_strict(schema)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["string", "#", "#/a", "^a$"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "anyOf",
                    "$ref",
                    "$defs",
                    "required",
                    "enum",
                    "a",
                    "$id",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(json_values, st.sampled_from(["full", "plain", "llamacpp"]))
def test_any_json_gives_an_object_schema_and_is_not_changed(schema, profile):
    before = copy.deepcopy(schema)
    parameters = tool_parameters(schema, profile)
    assert before == schema
    assert isinstance(parameters["properties"], dict)
    assert set(parameters.get("required", [])) <= set(parameters["properties"])
    assert parameters == tool_parameters(parameters, profile)
    fits_strict(parameters)
