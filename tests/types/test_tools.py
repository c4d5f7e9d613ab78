"""Tools: schemas of functions and models, dicts in Converse's format, and every error with its path."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

from bedrock_stream import SystemTool, Tool
from bedrock_stream.types.tools import read_tools
from tests.support.refusals import refused

NAME_RULE = "expected 1 to 64 characters of a-z A-Z 0-9 _ -"


class Unit(Enum):
    CELSIUS = "celsius"
    KELVIN = "kelvin"


class Location(msgspec.Struct):
    """A point on earth.

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
    """An order.

    With its items.
    """

    items: list[Item]


class Folder(msgspec.Struct):
    folders: list[Folder]


class Reply(pydantic.BaseModel):
    replies: list[Reply]


class Bare(msgspec.Struct):
    x: int


def get_weather(city: str, unit: Literal["celsius", "kelvin"] = "celsius") -> str:
    """Return the weather
    of a city.

    Not part of the description.
    """
    return f"{city} {unit}"


# ------------------------------------------------------------------------------------------------------------ functions


def test_a_function_becomes_a_tool() -> None:
    tool = Tool.from_function(get_weather)
    assert tool.name == "get_weather"
    assert tool.description == "Return the weather of a city."
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


def test_name_and_description_of_a_function_can_be_set() -> None:
    tool = Tool.from_function(get_weather, name="weather", description="The weather.")
    assert (tool.name, tool.description) == ("weather", "The weather.")


def properties(function: Callable[..., Any]) -> dict[str, Any]:
    schema: dict[str, Any] = Tool.from_function(function).input_schema["properties"]
    return schema


def test_a_str_in_an_annotation_describes_the_parameter() -> None:
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


def test_a_parameter_without_an_annotation_accepts_any_value() -> None:
    def save(item, folder="inbox"): ...  # type: ignore[no-untyped-def]

    assert properties(save) == {"item": {}, "folder": {"default": "inbox"}}


def test_self_is_not_a_parameter_of_a_method() -> None:
    class Shop:
        def buy(self, sku: str, *, count: int | None = None) -> None:
            """Buy."""

    tool = Tool.from_function(Shop().buy)
    assert tool.description == "Buy."
    assert tool.input_schema["properties"] == {
        "sku": {"type": "string"},
        "count": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
    }


def test_a_function_without_parameters_has_an_empty_object_as_input() -> None:
    def now() -> None: ...

    assert Tool.from_function(now).input_schema == {"title": "now", "type": "object", "properties": {}, "required": []}
    assert Tool.from_function(now).description == ""


def test_models_of_parameters_are_defined_at_the_top_level() -> None:
    def plan(where: Location, when: Span, note: Note, unit: Unit, order: Order) -> None: ...

    schema = Tool.from_function(plan).input_schema
    assert schema["properties"]["where"] == {"$ref": "#/$defs/Location"}
    assert schema["properties"]["when"] == {"$ref": "#/$defs/Span"}
    assert schema["properties"]["order"]["properties"]["items"]["items"] == {"$ref": "#/$defs/Item"}
    assert "$defs" not in schema["properties"]["order"]
    assert set(schema["$defs"]) == {"Location", "Span", "Note", "Unit", "Item"}
    assert schema["$defs"]["Item"]["properties"] == {"sku": {"title": "Sku", "type": "string"}}


@pytest.mark.parametrize(
    ("function", "problem", "remedy"),
    [
        (lambda *rest: rest, "has the parameter *rest", "name each parameter"),
        (lambda **rest: rest, "has the parameter *rest", "name each parameter"),
        (max, "max: ", "pass a function with annotations"),
        (functools.partial(get_weather, "Bonn"), "partial: ", "pass a function with annotations"),
    ],
)
def test_a_function_without_a_usable_signature_is_rejected(function: Any, problem: str, remedy: str) -> None:
    with refused("tools", problem, remedy):
        Tool.from_function(function)


def test_an_undefined_annotation_is_rejected() -> None:
    def find(where: Undefined) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with refused("tools", "find: name 'Undefined' is not defined", "pass a function with annotations"):
        Tool.from_function(find)


def test_a_mutable_default_is_rejected() -> None:
    def tag(words: list[str] = ["a"]) -> None: ...  # noqa: B006  the default under test

    with refused("tools", "tag: ", "use None as the default"):
        Tool.from_function(tag)


def test_a_type_without_a_json_schema_is_rejected() -> None:
    def turn(by: complex) -> None: ...

    with refused("tools", "turn: type <class 'complex'> is not supported", "use types that have a JSON Schema"):
        Tool.from_function(turn)


def test_an_unnamed_function_is_rejected() -> None:
    with refused("Tool.name", f"{NAME_RULE}, got '<lambda>'"):
        Tool.from_function(lambda: None)


# --------------------------------------------------------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("model", "description"),
    [(Location, "A point on earth."), (Order, "An order."), (Span, ""), (Note, ""), (Item, ""), (Bare, "")],
)
def test_the_description_is_the_models_own_docstring(model: type, description: str) -> None:
    tool = Tool.from_model(model)
    assert (tool.name, tool.description) == (model.__name__, description)
    assert tool.input_schema["type"] == "object"
    assert tool.function is None


def test_name_and_description_of_a_model_can_be_set() -> None:
    tool = Tool.from_model(Location, name="point", description="A point.")
    assert (tool.name, tool.description) == ("point", "A point.")


def test_the_schema_of_a_model() -> None:
    assert Tool.from_model(Span).input_schema == {
        "title": "Span",
        "type": "object",
        "properties": {"days": {"type": "integer"}, "step": {"type": "integer", "default": 1}},
        "required": ["days"],
    }
    assert Tool.from_model(Order).input_schema == Order.model_json_schema()


@pytest.mark.parametrize(("model", "field"), [(Folder, "folders"), (Reply, "replies")])
def test_a_recursive_model_has_an_object_at_the_top_level(model: type, field: str) -> None:
    schema = Tool.from_model(model).input_schema
    reference = {"$ref": f"#/$defs/{model.__name__}"}
    assert schema["type"] == "object"
    assert schema["properties"][field]["items"] == reference
    assert schema["$defs"][model.__name__]["properties"][field]["items"] == reference


@pytest.mark.parametrize("model", [int, Unit])
def test_a_type_that_is_not_a_json_object_is_rejected(model: type) -> None:
    with refused("tools", f"{model.__name__} is not a JSON object", "use a model with fields"):
        Tool.from_model(model)


# ------------------------------------------------------------------------------------------------------- accepted forms


def test_every_form_of_a_tool_is_accepted() -> None:
    written = Tool(name="written", strict=True)
    assert read_tools([written, get_weather, Order, {"name": "flat", "input_schema": {"type": "object"}}]) == (
        written,
        Tool.from_function(get_weather),
        Tool.from_model(Order),
        Tool(name="flat", input_schema={"type": "object"}),
    )


def test_the_default_input_of_a_tool_is_an_empty_object() -> None:
    assert Tool(name="now").input_schema == {"type": "object", "properties": {}}
    assert read_tools([{"name": "now"}]) == (Tool(name="now"),)


@pytest.mark.parametrize(
    "tool",
    [
        {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}, "new": 1}},
        {"toolSpec": {"name": "f", "inputSchema": {}}},
        {"toolSpec": {"name": "f", "inputSchema": {"json": "{}"}}},
        {"systemTool": {"name": "nova_grounding"}},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"unknown": {}},
    ],
)
def test_a_dict_in_converses_format_is_unchanged(tool: dict[str, Any]) -> None:
    assert read_tools([tool]) == (tool,)


def test_a_schema_without_type_is_that_of_an_object() -> None:
    schema = {"properties": {"a": {"type": "string"}}}
    typed = {"type": "object", "properties": {"a": {"type": "string"}}}
    written = {"toolSpec": {"name": "f", "inputSchema": {"json": schema}, "description": "d"}}
    assert Tool(name="f", input_schema=schema).input_schema == typed
    assert Tool(name="f", input_schema={}).input_schema == {"type": "object"}
    assert read_tools([{"name": "f", "input_schema": schema}, written]) == (
        Tool(name="f", input_schema=typed),
        {"toolSpec": {"name": "f", "inputSchema": {"json": typed}, "description": "d"}},
    )
    assert schema == {"properties": {"a": {"type": "string"}}}


def test_any_iterable_of_tools_is_accepted() -> None:
    assert read_tools(tool for tool in (Order,)) == read_tools((Order,)) == read_tools([Order])
    assert read_tools([]) == ()


# ------------------------------------------------------------------------------------------------------- rejected tools


@pytest.mark.parametrize("name", ["has space", "ü", "x" * 65, "a.b", "a\n", 5])
def test_a_name_that_bedrock_rejects_is_rejected(name: Any) -> None:
    with refused("Tool.name", f"{NAME_RULE}, got {name!r}"):
        Tool(name=name)
    with refused("Tool.name", f"{NAME_RULE}, got {name!r}"):
        read_tools([{"name": name}])


def test_the_longest_name_is_accepted() -> None:
    assert Tool(name="aZ0_-" * 12 + "aaaa").name == "aZ0_-" * 12 + "aaaa"


@pytest.mark.parametrize(
    ("tools", "path", "problem", "remedy"),
    [
        ("f", "tools", "expected a list of tools, got str", ""),
        (b"f", "tools", "expected a list of tools, got bytes", ""),
        ({"name": "f"}, "tools", "expected a list of tools, got dict", ""),
        (get_weather, "tools", "expected a list of tools, got function", ""),
        (Order, "tools", "expected a list of tools, got ModelMetaclass", ""),
        (Tool(name="f"), "tools", "expected a list of tools, got Tool", ""),
        ([5], "tools[0]", "expected a Tool, a dict, a function or a model class, got int", ""),
        ([Order, "f"], "tools[1]", "expected a Tool, a dict, a function or a model class, got str", ""),
        ([{}], "tools[0]", "has no name", "use name, description, input_schema"),
        ([{"name": ""}], "tools[0]", "has no name", "use name, description, input_schema"),
        ([{"description": "d"}], "tools[0]", "has no name", "use name, description, input_schema"),
        (
            [{"type": "function", "name": "f"}],
            "tools[0]",
            "unknown key 'type'",
            "use name, description, input_schema",
        ),
        ([{"type": "", "name": "f"}], "tools[0]", "unknown key 'type'", "use name, description, input_schema"),
        ([{"type": 5, "name": "f"}], "tools[0]", "unknown key 'type'", "use name, description, input_schema"),
        (
            [{"name": "f", "extra": 5}],
            "Tool('f').extra",
            "expected a dict with str keys, got 5",
            "",
        ),
        ([{"name": "f", 5: 6}], "tools[0]", "unknown key 5", "use name, description, input_schema"),
        ([{"toolSpec": {}}], "tools[0].toolSpec.name", f"{NAME_RULE}, got None", ""),
        (
            [{"name": "f", "input_schema": "{}"}],
            "Tool('f').input_schema",
            "expected a dict with JSON Schema, got str",
            "",
        ),
    ],
)
def test_invalid_tools_are_rejected_with_their_path(tools: Any, path: str, problem: str, remedy: str) -> None:
    with refused(path, problem, remedy):
        read_tools(tools)


def test_a_tool_needs_a_name() -> None:
    with refused("Tool.name", f"{NAME_RULE}, got ''"):
        Tool(name="")


def test_a_system_tool_is_a_tool_in_converses_format() -> None:
    assert read_tools([SystemTool("nova_grounding")]) == ({"systemTool": {"name": "nova_grounding"}},)
    for name in ("", "a b", 5):
        with refused("SystemTool.name", f"{NAME_RULE}, got {name!r}"):
            SystemTool(name)  # type: ignore[arg-type]


def test_a_tool_of_claudes_own_is_unchanged() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
    assert read_tools([search]) == (search,)


def test_extra_members_of_a_tool_have_str_keys() -> None:
    assert Tool(name="f").extra == {}
    assert read_tools([{"name": "f", "extra": {"a": 1}}]) == (Tool(name="f", extra={"a": 1}),)
    with refused("Tool('f').extra", "expected a dict with str keys, got {5: 1}"):
        Tool(name="f", extra={5: 1})  # type: ignore[dict-item]
