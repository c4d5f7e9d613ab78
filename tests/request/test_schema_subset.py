"""Fitting JSON Schemas to the constrained decoders' subset, and inlining definitions."""

from __future__ import annotations

import copy
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_stream import Tool
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.request.schema_subset import fit_schema, inline_definitions
from tests.support.refusals import refused

LIST_REMEDY = "use a list of objects with a key and a value"


def fit(schema: Any, *, contains: bool = False, changes: list[str] | None = None) -> dict[str, Any]:
    before = copy.deepcopy(schema)
    fitted = fit_schema(schema, option="output_schema", contains=contains, changes=changes)
    assert schema == before
    return fitted


class Place(msgspec.Struct):
    name: str
    rank: Annotated[int, msgspec.Meta(ge=1, le=5)]


class Trip(msgspec.Struct):
    first: Place
    others: list[Place]
    kind: Literal["work", "leisure"] = "work"


class Folder(msgspec.Struct):
    name: str
    folders: list[Folder]


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int = pydantic.Field(ge=0, description="How many are left.")


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]


class Owner(pydantic.BaseModel):
    pet: Cat | Dog = pydantic.Field(discriminator="kind", description="The pet.")
    cat: Cat = pydantic.Field(description="The cat.")


# ------------------------------------------------------------------------------------------------------------- objects


def test_every_object_is_closed() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    schema = {
        "properties": {
            "one": inner,
            "many": {"type": "array", "items": inner},
            "either": {"anyOf": [inner, {"type": ["object", "null"], "properties": {}}]},
            "open": {**inner, "additionalProperties": True},
        }
    }
    closed = {**inner, "additionalProperties": False}
    assert fit(schema) == {
        "properties": {
            "one": closed,
            "many": {"type": "array", "items": closed},
            "either": {
                "anyOf": [closed, {"type": ["object", "null"], "properties": {}, "additionalProperties": False}]
            },
            "open": closed,
        },
        "additionalProperties": False,
    }


def test_names_of_properties_and_values_are_not_keywords() -> None:
    schema = {
        "type": "object",
        "properties": {"minimum": {"type": "integer"}, "$ref": {"enum": [{"minimum": 1, "type": "object"}]}},
        "additionalProperties": False,
    }
    assert fit(schema) == schema


@pytest.mark.parametrize(
    ("schema", "path", "problem", "remedy"),
    [
        ({"type": "object"}, "the top level", "an object without named properties", "name its properties, or use a"),
        ({"properties": {"a": {"type": "object"}}}, "properties.a", "an object without named properties", "name its"),
        (msgspec.json.schema(dict[str, int]), "the top level", "additionalProperties as a schema", LIST_REMEDY),
        (
            {"properties": {"a": {"type": "array", "items": msgspec.json.schema(dict[str, int])}}},
            "properties.a.items",
            "additionalProperties as a schema",
            LIST_REMEDY,
        ),
        ({"type": "object", "patternProperties": {"^x": {}}}, "the top level", "patternProperties", LIST_REMEDY),
        (
            Tool.from_model(Folder).input_schema,
            "properties.folders.items",
            "recursion (#/$defs/Folder)",
            "use a type for each level, or a flat list",
        ),
        ({"anyOf": [{"type": "null"}, {"items": {"$ref": "#"}}]}, "anyOf[1].items", "recursion (#)", "use a type for"),
        ({"$ref": "https://example.com/a"}, "the top level", "https://example.com/a does not refer", "put it"),
        ({"$ref": "#/$defs/A"}, "the top level", "#/$defs/A does not refer", "put it into $defs"),
        ({"allOf": [{"minimum": 1}, {"minimum": 2}]}, "allOf[1]", "minimum differs", "write allOf as one schema"),
    ],
)
def test_what_cannot_be_expressed_is_refused_with_its_path(schema: Any, path: str, problem: str, remedy: str) -> None:
    with refused("output_schema", f"{path}: {problem}", remedy):
        fit(schema)


def test_a_schema_that_is_nested_too_deep_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(10_000):
        schema = {"items": schema}
    with refused("output_schema", "the schema is nested too deep", "use fewer levels"):
        fit_schema(schema, option="output_schema", contains=True)


# ------------------------------------------------------------------------------------------------------------ keywords


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("minimum", 0, "At least 0"),
        ("maximum", 1.5, "At most 1.5"),
        ("exclusiveMinimum", 0, "Greater than 0"),
        ("exclusiveMaximum", 9, "Less than 9"),
        ("multipleOf", 5, "A multiple of 5"),
        ("minItems", 2, "At least 2 items"),
        ("maxItems", 3, "At most 3 items"),
        ("uniqueItems", True, "UniqueItems: true"),
        ("pattern", "^(?=a)", "Matches the regular expression ^(?=a)"),
        ("pattern", r"(a)\1", r"Matches the regular expression (a)\1"),
        ("pattern", r"(?P<x>a)(?P=x)", "Matches the regular expression (?P<x>a)(?P=x)"),
        ("pattern", "(?<!a)b", "Matches the regular expression (?<!a)b"),
        ("format", "phone", "In the format phone"),
        ("contains", {"type": "string"}, 'Contains: {"type": "string"}'),
        ("not", {"const": 1}, 'Not: {"const": 1}'),
    ],
)
def test_a_keyword_that_is_refused_becomes_words(keyword: str, value: Any, words: str) -> None:
    changes: list[str] = []
    assert fit({keyword: value}, changes=changes) == {"description": words}
    assert changes == [f"output_schema: {keyword} was moved into the description at the top level"]
    described = fit({"properties": {"a": {keyword: value, "description": "A value."}}}, changes=changes)
    assert described["properties"]["a"] == {"description": f"A value. ({words[0].lower()}{words[1:]})"}
    assert changes[1:] == [f"output_schema: {keyword} was moved into the description at properties.a"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 1},
        {"type": "string", "minLength": 1, "maxLength": 3},
        {"pattern": r"^\d{3}\\1$"},
        {"pattern": "(?:a|b)+(?P<x>c)"},
        {"format": "date-time"},
        {"enum": [1, None], "default": None, "title": "T", "const": 1},
        {},
    ],
)
def test_other_keywords_stay(schema: dict[str, Any]) -> None:
    changes: list[str] = []
    assert fit(schema, changes=changes) == schema
    assert changes == []


def test_contains_stays_where_it_is_taken() -> None:
    schema = {"type": "array", "contains": {"const": 1}, "minContains": 1}
    assert fit(schema, contains=True) == schema


def test_alternatives_and_tuples_have_another_form() -> None:
    assert fit({"oneOf": [{"type": "string"}, {"type": "null"}]}) == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert fit(msgspec.json.schema(tuple[int, str, int])) == {
        "type": "array",
        "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "description": "Items in this order: integer, string, integer, at least 3 items, at most 3 items",
    }
    assert fit(msgspec.json.schema(tuple[int, int]))["items"] == {"type": "integer"}


def test_the_parts_of_all_of_are_one_object() -> None:
    one = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "title": "One"}
    two = {
        "type": "object",
        "properties": {"a": {"minLength": 1}, "b": {}},
        "required": ["a", "b"],
        "title": "Two",
        "additionalProperties": False,
    }
    assert fit({"allOf": [one, two]}) == {
        "type": "object",
        "properties": {"a": {"type": "string", "minLength": 1}, "b": {}},
        "required": ["a", "b"],
        "title": "One",
        "additionalProperties": False,
    }


# --------------------------------------------------------------------------------------------------------- definitions


def test_nested_types_are_inlined_and_fitted() -> None:
    fitted = fit(Tool.from_model(Trip).input_schema)
    place = {
        "title": "Place",
        "type": "object",
        "properties": {"name": {"type": "string"}, "rank": {"type": "integer", "description": "At least 1, at most 5"}},
        "required": ["name", "rank"],
        "additionalProperties": False,
    }
    assert fitted["properties"]["first"] == place
    assert fitted["properties"]["others"] == {"type": "array", "items": place}
    assert "$defs" not in fitted


def test_what_stands_beside_a_reference_is_kept() -> None:
    fitted = fit(Owner.model_json_schema())
    assert fitted["properties"]["cat"]["description"] == "The cat."
    assert fitted["properties"]["cat"]["properties"]["lives"]["description"] == "How many are left. (at least 0)"
    assert [kind["title"] for kind in fitted["properties"]["pet"]["anyOf"]] == ["Cat", "Dog"]
    assert "discriminator" not in fitted["properties"]["pet"]
    narrowed = {"$ref": "#/$defs/A", "properties": {"b": {}}}
    schema = {**narrowed, "$defs": {"A": {"type": "object", "properties": {"a": {}}}}}
    assert fit(schema) == {"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": False}


def test_inlining_keeps_what_is_recursive() -> None:
    schema = Tool.from_model(Folder).input_schema
    assert inline_definitions(schema) == schema
    used = {"$ref": "#/$defs/B", "$defs": {**schema["$defs"], "B": {"items": {"$ref": "#/$defs/Folder"}}, "C": {}}}
    assert inline_definitions(used) == {"items": {"$ref": "#/$defs/Folder"}, "$defs": schema["$defs"]}


@pytest.mark.parametrize(
    ("reference", "root"),
    [
        ("#/definitions/A", {"definitions": {"A": {"type": "string"}}}),
        ("#/$defs/a~1b%20c~0", {"$defs": {"a/b c~": {"type": "string"}}}),
        ("#/properties/b", {}),
        ("#/properties/c/anyOf/1", {}),
    ],
)
def test_references_are_json_pointers(reference: str, root: dict[str, Any]) -> None:
    properties = {"b": {"type": "string"}, "c": {"anyOf": [{}, {"type": "string"}]}}
    schema = {"properties": {**properties, "a": {"$ref": reference}}, **root}
    assert inline_definitions(schema) == {"properties": {**properties, "a": {"type": "string"}}}


@pytest.mark.parametrize(
    "reference", ["other.json", "#anchor", "#/$defs", "#/$defs/0", "#/properties/a/b/9", "#/$defs/"]
)
def test_other_references_stay(reference: str) -> None:
    schema = {"properties": {"a": {"$ref": reference}}, "$defs": ["x"]}
    assert inline_definitions(schema)["properties"] == schema["properties"]


def test_definitions_that_double_with_every_step_stay() -> None:
    definitions = {f"D{n}": {"anyOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(40)}
    schema = {"$ref": "#/$defs/D0", "$defs": {**definitions, "D40": {"type": "object", "properties": {}}}}
    assert inline_definitions(schema) == schema
    assert fit(schema)["$defs"]["D40"]["additionalProperties"] is False


# ---------------------------------------------------------------------------------------------------------- any schema

_REFERENCES = ["#", "#/$defs/a", "#/$defs/b", "#/$defs/b/items", "#/properties/a", "x", "#/$defs"]
_NAMES = st.sampled_from(["a", "b", "minimum", "$ref"])
_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    ["object", "array", "integer", "^(?=a)", 0, 2, True, False, None, ["object", "null"], {}]
)


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    maps, lists = st.dictionaries(_NAMES, inner, max_size=3), st.lists(inner, max_size=3)
    schemas = st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", ["object", "null"]]),
            "properties": maps,
            "$defs": maps,
            "items": inner | lists,
            "prefixItems": lists,
            "anyOf": lists,
            "oneOf": lists,
            "allOf": lists,
            "additionalProperties": inner | st.booleans(),
            "required": st.lists(_NAMES, max_size=2),
            "minimum": st.integers(0, 2),
            "minItems": st.integers(0, 2),
            "description": st.text(max_size=3),
            "contains": inner,
            "$ref": st.sampled_from(_REFERENCES),
        },
    )
    anything = st.dictionaries(
        st.sampled_from(["type", "properties", "$defs", "items", "allOf", "required", "format", "pattern", "$ref"]),
        _VALUES | lists,
        max_size=3,
    )
    return schemas | anything


SCHEMAS = _wider(st.recursive(st.just({}) | st.booleans(), _wider, max_leaves=8))


def _schemas(schema: Any) -> list[dict[str, Any]]:
    if not isinstance(schema, dict):
        return []
    inner = [schema]
    for key in ("properties", "$defs"):
        if isinstance(schema.get(key), dict):
            inner += [found for value in schema[key].values() for found in _schemas(value)]
    for key in ("items", "anyOf", "prefixItems"):
        value = schema.get(key)
        inner += [found for item in (value if isinstance(value, list) else [value]) for found in _schemas(item)]
    return inner


@example({"allOf": [{"type": "array", "$defs": "object"}]})
@example({"$ref": "#/properties/a", "properties": {"a": {"$defs": {}}}})
@example({"properties": {}, "$defs": {"a": {"contains": {"$ref": "#"}}}, "contains": {"$ref": "#/$defs/a"}})
@given(SCHEMAS)
def test_any_schema_is_fitted_or_refused(schema: dict[str, Any]) -> None:
    try:
        fitted = fit(schema)
    except ConfigurationError:
        return
    assert fit(fitted) == fitted
    for inner in _schemas(fitted):
        assert not inner.keys() & {"minimum", "contains", "allOf", "prefixItems", "patternProperties"}
        assert inner.get("minItems", 0) in (0, 1)
        if isinstance(inner.get("properties"), dict):
            assert inner["additionalProperties"] is False


@given(SCHEMAS)
def test_inlining_any_schema_loses_no_reference_that_stays(schema: dict[str, Any]) -> None:
    inlined = inline_definitions(schema)
    assert inline_definitions(inlined) == inlined
