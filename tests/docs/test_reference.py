"""The reference has each public name, each class of error and each option of a call."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from typing import Any

import pytest

import bedrock_stream
from bedrock_stream import CallOptions, errors
from tests.support.doc_pages import DOCS, ROOT

API = DOCS / "reference" / "api"
DIRECTIVES = {
    name: page.name
    for page in sorted(API.glob("*.md"))
    for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
}
"""What the builder renders, by its dotted name, and the page."""
MODULES = (
    "bedrock_stream",
    "bedrock_stream.auth.sigv4",
    "bedrock_stream.errors",
    "bedrock_stream.eventstream",
    "bedrock_stream.gateway",
    "bedrock_stream.integrations",
    "bedrock_stream.integrations.otel",
    "bedrock_stream.integrations.pydantic_ai",
    "bedrock_stream.integrations.ray",
    "bedrock_stream.integrations.redis",
    "bedrock_stream.integrations.starlette",
    "bedrock_stream.observing",
    "bedrock_stream.testing",
    "bedrock_stream.types.events",
)
"""The modules that users import from."""


def load(name: str) -> Any:
    """Import a public module, or skip the test where its extra is not installed."""
    try:
        return importlib.import_module(name)
    except (ImportError, errors.ConfigurationError) as error:
        pytest.skip(str(error))


def test_each_extra_is_on_the_page_of_the_installation_and_its_module_in_the_reference() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    assert [name for name in extras if f"`{name}`" not in page] == []
    adapters = {f"bedrock_stream.integrations.{name.replace('-', '_')}" for name in extras}
    assert {name for name in adapters if importlib.util.find_spec(name)} <= {*MODULES}


def error_classes() -> list[str]:
    values = ((name, getattr(errors, name)) for name in errors.__all__)
    return sorted(name for name, value in values if isinstance(value, type) and issubclass(value, Exception))


def has_word(page: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", (DOCS / page).read_text(encoding="utf-8")) is not None


def has_place(module: str, public: str) -> bool:
    """Return whether a page has a public name, as one of this module or of another that also has it."""
    value = getattr(load(module), public)
    others = [other for other in MODULES if f"{other}.{public}" in DIRECTIVES]
    return any(getattr(load(other), public) is value for other in others)


@pytest.mark.parametrize("name", MODULES)
def test_each_public_name_has_a_place(name: str) -> None:
    named = {public for public in load(name).__all__ if f"{name}.{public}" not in DIRECTIVES}
    assert [public for public in sorted(named) if not has_place(name, public)] == []


@pytest.mark.parametrize("name", sorted(DIRECTIVES))
def test_each_name_of_the_reference_is_public(name: str) -> None:
    module, _, public = name.rpartition(".")
    if name not in MODULES:
        assert module in MODULES
        assert public in load(module).__all__


@pytest.mark.parametrize("name", error_classes())
def test_an_error_is_found_on_its_page(name: str) -> None:
    assert has_word("reference/errors.md", name)


@pytest.mark.parametrize("name", sorted(CallOptions.__annotations__))
def test_an_option_of_a_call_is_found_on_its_page(name: str) -> None:
    assert has_word("reference/options.md", name)


@pytest.mark.parametrize("name", sorted(kind.__name__ for kind in bedrock_stream.Event.__args__))
def test_an_event_is_found_on_its_page(name: str) -> None:
    assert has_word("reference/events.md", name)
