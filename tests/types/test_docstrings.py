"""Docstrings: descriptions of parameters reach a tool's schema, in each style, or a warning says that they do not."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_stream import Tool
from bedrock_stream.types import docstrings
from bedrock_stream.types.docstrings import DocstringWarning, read_docstring

GOOGLE = """Weather
of a city.

More about it.

Args:
    city: the city's
        English name: Oslo

        or Rome
    days (int, optional): how many days ahead
    *rest: others

Returns:
    The weather.

Raises:
    LookupError
"""
NUMPY = """Weather
of a city.

More about it.

Parameters
----------
city : str
    the city's
    English name: Oslo

    or Rome
days, hours : int, optional
    how many days ahead
unit
    which unit

Returns
-------
str
    The weather.
"""
SPHINX = """Weather
of a city.
:param str city: the city's
    English name: Oslo
    or Rome
:param days: how many days ahead
:type days: int
:parameter hours:
:returns: the weather
:raises LookupError: none
"""


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_each_style_is_read(text: str) -> None:
    read = read_docstring(text, "weather()")
    assert read.description == "Weather of a city."
    described = read.parameters
    assert (described["city"], described["days"]) == ("the city's English name: Oslo or Rome", "how many days ahead")
    assert set(described) - {"city", "days"} in ({"rest"}, {"hours", "unit"}, set())


@pytest.mark.parametrize(
    ("text", "description", "parameters"),
    [
        ("", "", {}),
        ("One line.", "One line.", {}),
        ("See the `Args:` of b.\n\nIt has :param: too.", "See the `Args:` of b.", {}),
        ("Args:\n    a: the first", "", {"a": "the first"}),
        ("Look.\n\nReturns:\n    x\n\nArgs:\n    a: the first\n", "Look.", {"a": "the first"}),
        ("Look.\n\nKeyword Args:\n    a: the first\n\nExample:\n    look(a)", "Look.", {"a": "the first"}),
        ("Look.\n\nReturns\n-------\nint\n    the number", "Look.", {}),
    ],
)
def test_what_is_read(text: str, description: str, parameters: dict[str, str]) -> None:
    assert read_docstring(text, "f()") == (description, parameters)


def weather(city: str, days: int = 1, hours: int | None = None) -> str:
    return city * days


def documented(text: str, function: Callable[..., Any] = weather) -> Tool:
    def copy() -> None: ...

    copy.__doc__, copy.__name__ = text, "weather"
    copy.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    copy.__annotations__ = function.__annotations__
    return Tool.from_function(copy)


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_descriptions_reach_the_schema_and_change_nothing_else(text: str) -> None:
    tool, plain = documented(text), documented("Weather of a city.")
    assert tool.description == plain.description == "Weather of a city."
    properties = tool.input_schema["properties"]
    assert properties["city"] == {"description": "the city's English name: Oslo or Rome", "type": "string"}
    assert properties["days"] == {"description": "how many days ahead", "type": "integer", "default": 1}
    assert list(properties) == ["city", "days", "hours"]
    bare = {name: {key: value[key] for key in value if key != "description"} for name, value in properties.items()}
    assert {**tool.input_schema, "properties": bare} == plain.input_schema


def test_a_description_in_the_annotation_takes_precedence() -> None:
    def look(
        a: Annotated[str, "of a"],
        b: Annotated[int, msgspec.Meta(ge=1, description="of b")],
        c: Annotated[int, pydantic.Field(description="of c")],
        d: Annotated[int, msgspec.Meta(ge=1)],
        e: Annotated[int, msgspec.Meta(description="other"), "of e"],
        f: Any,
    ) -> None:
        """Look.

        Args:
            a: documented
            b: documented
            c: documented
            d: documented
            e: documented
            f: documented
            g: documented
        """

    properties = Tool.from_function(look).input_schema["properties"]
    told = {name: value["description"] for name, value in properties.items()}
    assert told == {"a": "of a", "b": "of b", "c": "of c", "d": "documented", "e": "of e", "f": "documented"}
    assert (properties["b"]["minimum"], properties["d"]["minimum"]) == (1, 1)


class Struct(msgspec.Struct):
    """A place.

    Attributes:
        city: the name
        days: how many
    """

    city: str
    days: Annotated[int, msgspec.Meta(description="of its own")] = 1


class Model(pydantic.BaseModel):
    """A place.

    :param city: the name
    :param days: how many
    """

    city: str
    days: int = pydantic.Field(1, description="of its own")


@dataclass
class Data:
    """A place.

    Parameters
    ----------
    city
        the name
    """

    city: str
    days: int = 1


class Bare(pydantic.BaseModel):
    """
    Attributes:
        city: the name
    """

    city: str


def test_a_docstring_that_begins_with_a_section_is_read() -> None:
    def look(city: str) -> None:
        """
        Args:
            city: the name
        """

    for tool in Tool.from_function(look), Tool.from_model(Bare):
        assert (tool.description, tool.input_schema["properties"]["city"]["description"]) == ("", "the name")


@pytest.mark.parametrize("model", [Struct, Model, Data])
def test_attributes_of_a_model_are_described(model: type) -> None:
    tool = Tool.from_model(model)
    assert (tool.description, tool.input_schema["description"]) == ("A place.", "A place.")
    properties = tool.input_schema["properties"]
    assert properties["city"]["description"] == "the name"
    assert properties["days"].get("description") == (None if model is Data else "of its own")


# ------------------------------------------------------------------------------------------------------------- warnings


def test_a_docstring_that_cannot_be_read_is_reported() -> None:
    with pytest.warns(
        DocstringWarning, match=r"of weather\(\) cannot be read, .*: Expected a colon in 'city'"
    ) as caught:
        tool = documented("Weather.\n\nArgs:\n    city\n    days: how many")
    assert caught[0].filename == __file__
    assert tool.description == "Weather."
    assert "description" not in tool.input_schema["properties"]["days"]


def test_a_missing_parser_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docstring_parser", None)
    monkeypatch.setattr(docstrings, "_reported_missing", False)
    documented("Weather.\n\nReturns:\n    The weather.")  # it describes no parameters
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for text in GOOGLE, NUMPY, SPHINX:
            assert documented(text).description.startswith("Weather of a city.")
    (warning,) = caught
    assert str(warning.message) == (
        "the docstring of weather() describes parameters, which are not read without docstring-parser; "
        'pip install "bedrock-stream[docstrings]"'
    )
    assert warning.filename == __file__


def test_the_parser_is_imported_for_a_docstring_that_needs_it() -> None:
    code = """
import sys
from bedrock_stream import Tool

def plain(a: int) -> None:
    "Look."

def described(a: int) -> None:
    "Look.\\n\\n:param a: the first"

Tool.from_function(plain)
print("docstring_parser" in sys.modules)
Tool.from_function(described)
print("docstring_parser" in sys.modules)
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, check=True, timeout=50, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own code
    assert done.stdout.split() == ["False", "True"]


PIECES = st.sampled_from(
    ["Args:", "Parameters", "----------", "Attributes:", ":param", "city", ":", "days (int)", "x", "\n", "\n\n", "    ",
     "Returns:", "Raises", "*", ":param city:", ":returns", "[", "(", ", optional", "None", "\t", "\r", "\x00", "é"]
)  # fmt: skip


@settings(deadline=None)  # the first example imports the parser
@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join), st.lists(PIECES, max_size=30).map(" ".join)))
def test_no_docstring_raises(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DocstringWarning)
        read = read_docstring(text, "f()")
        assert all(isinstance(name, str) and described for name, described in read.parameters.items())
        documented(text)
