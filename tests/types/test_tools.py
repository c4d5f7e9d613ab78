"""Tools: a function or a model becomes a JSON Schema, a dict stays what it is, and every refusal names its place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

from bedrock_stream import Tool
from bedrock_stream.types.tools import read_tools
from tests.support.refusals import refused

NAME_RULE = "use 1 to 64 of a-z A-Z 0-9 _ -"


class Unit(Enum):
    CELSIUS = "celsius"
    KELVIN = "kelvin"


class KeySource(msgspec.Struct):
    """Where on earth.

    In degrees.
    """

    latitude: float
    longitude: float


@dataclass
class Span:
    days: int
    step: int = 1


class Note(TypedDict):
    text: str


class Item(pydantic.BaseModel):
    sku: str


class Order(pydantic.BaseModel):
    """What was bought.

    And how often.
    """

    items: list[Item]


class Folder(msgspec.Struct):
    folders: list[Folder]


class Reply(pydantic.BaseModel):
    replies: list[Reply]


class Bare(msgspec.Struct):
    x: int


def get_weather(city: str, unit: Literal["celsius", "kelvin"] = "celsius") -> str:
    """Say the weather
    of a city.

    Not part of the description.
    """
    return f"{city} {unit}"


# ------------------------------------------------------------------------------------------------------------ functions


def test_a_function_becomes_a_tool() -> None:
    tool = Tool.from_function(get_weather)
    assert tool.name == "get_weather"
    assert tool.description == "Say the weather of a city."
    assert tool.function is get_weather
    assert tool.input_schema == {
        "title": "get_weather",
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["celsius", "kelvin"], "default": "celsius"},
        },
        "required": ["city"],
    }


def test_name_and_description_of_a_function_may_be_given() -> None:
    tool = Tool.from_function(get_weather, name="weather", description="The weather.")
    assert (tool.name, tool.description) == ("weather", "The weather.")


def properties(function: Callable[..., Any]) -> dict[str, Any]:
    found: dict[str, Any] = Tool.from_function(function).input_schema["properties"]
    return found


def test_an_annotated_text_describes_its_parameter() -> None:
    def find(
        word: Annotated[str, "what to look for"],
        limit: Annotated[int, msgspec.Meta(ge=1), "how many"] = 5,
        page: Annotated[int, msgspec.Meta(ge=0)] = 0,
    ) -> None: ...

    assert properties(find) == {
        "word": {"type": "string", "description": "what to look for"},
        "limit": {"type": "integer", "minimum": 1, "description": "how many", "default": 5},
        "page": {"type": "integer", "minimum": 0, "default": 0},
    }


def test_a_parameter_without_an_annotation_takes_anything() -> None:
    def save(what, where="here"): ...  # type: ignore[no-untyped-def]

    assert properties(save) == {"what": {}, "where": {"default": "here"}}


def test_self_is_no_parameter_of_a_method() -> None:
    class Shop:
        def buy(self, sku: str, *, count: int | None = None) -> None:
            """Buy."""

    tool = Tool.from_function(Shop().buy)
    assert tool.description == "Buy."
    assert tool.input_schema["properties"] == {
        "sku": {"type": "string"},
        "count": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
    }


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    def now() -> None: ...

    assert Tool.from_function(now).input_schema == {"title": "now", "type": "object", "properties": {}, "required": []}
    assert Tool.from_function(now).description == ""


def test_models_among_the_parameters_are_defined_at_the_top() -> None:
    def plan(where: KeySource, when: Span, note: Note, unit: Unit, order: Order) -> None: ...

    schema = Tool.from_function(plan).input_schema
    assert schema["properties"]["where"] == {"$ref": "#/$defs/KeySource"}
    assert schema["properties"]["when"] == {"$ref": "#/$defs/Span"}
    assert schema["properties"]["order"]["properties"]["items"]["items"] == {"$ref": "#/$defs/Item"}
    assert "$defs" not in schema["properties"]["order"]
    assert set(schema["$defs"]) == {"KeySource", "Span", "Note", "Unit", "Item"}
    assert schema["$defs"]["Item"]["properties"] == {"sku": {"title": "Sku", "type": "string"}}


@pytest.mark.parametrize(
    ("function", "problem", "remedy"),
    [
        (lambda *rest: rest, "takes *rest", "name each parameter"),
        (lambda **rest: rest, "takes *rest", "name each parameter"),
        (max, "max: ", "give a function with annotations"),
        (functools.partial(get_weather, "Bonn"), "partial: ", "give a function with annotations"),
    ],
)
def test_a_function_that_says_too_little_is_refused(function: Any, problem: str, remedy: str) -> None:
    with refused("tools", problem, remedy):
        Tool.from_function(function)


def test_an_annotation_that_cannot_be_found_is_refused() -> None:
    def lost(where: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with refused("tools", "lost: name 'Nowhere' is not defined", "give a function with annotations"):
        Tool.from_function(lost)


def test_a_default_that_can_change_is_refused() -> None:
    def tag(words: list[str] = ["a"]) -> None: ...  # noqa: B006  the mistake under test

    with refused("tools", "tag: ", "default to None"):
        Tool.from_function(tag)


def test_a_type_that_json_cannot_hold_is_refused() -> None:
    def turn(by: complex) -> None: ...

    with refused("tools", "turn: type <class 'complex'> is not supported", "annotate with types that JSON can hold"):
        Tool.from_function(turn)


def test_an_unnamed_function_is_refused() -> None:
    with refused("Tool.name", "'<lambda>' cannot be a tool's name", NAME_RULE):
        Tool.from_function(lambda: None)


# --------------------------------------------------------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("model", "description"),
    [(KeySource, "Where on earth."), (Order, "What was bought."), (Span, ""), (Note, ""), (Item, ""), (Bare, "")],
)
def test_a_model_is_described_by_its_own_docstring_only(model: type, description: str) -> None:
    tool = Tool.from_model(model)
    assert (tool.name, tool.description) == (model.__name__, description)
    assert tool.input_schema["type"] == "object"
    assert tool.function is None


def test_name_and_description_of_a_model_may_be_given() -> None:
    tool = Tool.from_model(KeySource, name="place", description="A place.")
    assert (tool.name, tool.description) == ("place", "A place.")


def test_the_schema_of_a_model_is_its_own() -> None:
    assert Tool.from_model(Span).input_schema == {
        "title": "Span",
        "type": "object",
        "properties": {"days": {"type": "integer"}, "step": {"type": "integer", "default": 1}},
        "required": ["days"],
    }
    assert Tool.from_model(Order).input_schema == Order.model_json_schema()


@pytest.mark.parametrize(("model", "field"), [(Folder, "folders"), (Reply, "replies")])
def test_a_model_that_holds_itself_still_has_an_object_at_the_top(model: type, field: str) -> None:
    schema = Tool.from_model(model).input_schema
    reference = {"$ref": f"#/$defs/{model.__name__}"}
    assert schema["type"] == "object"
    assert schema["properties"][field]["items"] == reference
    assert schema["$defs"][model.__name__]["properties"][field]["items"] == reference


@pytest.mark.parametrize("model", [int, Unit])
def test_a_type_that_is_no_object_is_refused(model: type) -> None:
    with refused("tools", f"{model.__name__} is no object in JSON", "use a model with fields"):
        Tool.from_model(model)


# ------------------------------------------------------------------------------------------------------- accepted forms


def test_every_form_of_a_tool_is_read() -> None:
    written = Tool(name="written", strict=True)
    assert read_tools([written, get_weather, Order, {"name": "flat", "input_schema": {"type": "object"}}]) == (
        written,
        Tool.from_function(get_weather),
        Tool.from_model(Order),
        Tool(name="flat", input_schema={"type": "object"}),
    )


def test_a_tool_takes_an_empty_object_unless_it_says_more() -> None:
    assert Tool(name="now").input_schema == {"type": "object", "properties": {}}
    assert read_tools([{"name": "now"}]) == (Tool(name="now"),)


@pytest.mark.parametrize(
    "wire",
    [
        {"toolSpec": {"name": "f", "inputSchema": {"json": {}}, "new": 1}},
        {"systemTool": {"name": "nova_grounding"}},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"tomorrow": {}},
    ],
)
def test_a_dict_in_the_wires_own_shape_stays_as_it_came(wire: dict[str, Any]) -> None:
    assert read_tools([wire]) == (wire,)


def test_any_iterable_of_tools_is_read() -> None:
    assert read_tools(tool for tool in (Order,)) == read_tools((Order,)) == read_tools([Order])
    assert read_tools([]) == ()


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", ["has space", "ü", "x" * 65, "a.b", "a\n", 5])
def test_a_name_that_bedrock_refuses_is_refused_here(name: Any) -> None:
    with refused("Tool.name", f"{name!r} cannot be a tool's name", NAME_RULE):
        Tool(name=name)
    with refused("Tool.name", repr(name), NAME_RULE):
        read_tools([{"name": name}])


def test_the_longest_name_is_taken() -> None:
    assert Tool(name="aZ0_-" * 12 + "aaaa").name == "aZ0_-" * 12 + "aaaa"


@pytest.mark.parametrize(
    ("tools", "place", "value", "remedy"),
    [
        ("f", "tools", "a str is no list of tools", "give a list"),
        (b"f", "tools", "a bytes is no list of tools", "give a list"),
        ({"name": "f"}, "tools", "a dict is no list of tools", "give a list"),
        (get_weather, "tools", "a function is no list of tools", "give a list"),
        (Order, "tools", "a ModelMetaclass is no list of tools", "give a list"),
        (Tool(name="f"), "tools", "a Tool is no list of tools", "give a list"),
        ([5], "tools[0]", "a int is no tool", "use Tool, a dict, a function or a model"),
        ([Order, "f"], "tools[1]", "a str is no tool", "use Tool, a dict, a function or a model"),
        ([{}], "tools[0]", "a tool needs a name", "use name, description, input_schema"),
        ([{"name": ""}], "tools[0]", "a tool needs a name", "use name, description, input_schema"),
        ([{"description": "d"}], "tools[0]", "a tool needs a name", "use name, description, input_schema"),
        (
            [{"type": "function", "name": "f"}],
            "tools[0]",
            "unknown key 'type'",
            "use name, description, input_schema",
        ),
        ([{"name": "f", 5: 6}], "tools[0]", "unknown key 5", "use name, description, input_schema"),
        ([{"toolSpec": {}}], "tools[0].toolSpec.name", "a tool needs a name", NAME_RULE),
        ([{"name": "f", "input_schema": "{}"}], "Tool('f').input_schema", "a str is no JSON Schema", "use a dict"),
    ],
)
def test_wrong_tools_are_refused_by_their_place(tools: Any, place: str, value: str, remedy: str) -> None:
    with refused(place, value, remedy):
        read_tools(tools)


def test_a_tool_needs_a_name() -> None:
    with refused("Tool.name", "a tool needs a name", NAME_RULE):
        Tool(name="")
