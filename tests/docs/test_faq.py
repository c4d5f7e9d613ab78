"""The FAQ's messages are real: those of the service become the class that is named, ours are in the package."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import bedrock_stream
from bedrock_stream import errors
from tests.support.page_tables import DOCS

PAGE = (DOCS / "faq.md").read_text(encoding="utf-8")
ENTRY = re.compile(r"^### (.+)\n\n(.+)$", re.MULTILINE)
OF_SERVICE = re.compile(r"(?:`(\w+)`|no code), HTTP (\d+): `(\w+)`$")
OURS = re.compile(r"here: `(\w+)`$")

ENTRIES = ENTRY.findall(PAGE)
MESSAGES = [(heading, found) for heading, first in ENTRIES if (found := OF_SERVICE.match(first))]
OWN = [(heading, found[1]) for heading, first in ENTRIES if (found := OURS.match(first))]


@cache
def texts_of_the_package() -> str:
    """Return every constant text of the package, a line each."""
    files = Path(bedrock_stream.__file__).parent.rglob("*.py")
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return "\n".join(
        str(node.value) for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_there_are_entries_of_both_kinds() -> None:
    assert len(MESSAGES) > 30
    assert len(OWN) > 10


@pytest.mark.parametrize(("heading", "found"), MESSAGES, ids=[heading for heading, _ in MESSAGES])
def test_a_message_of_the_service_becomes_the_class_that_is_named(heading: str, found: re.Match[str]) -> None:
    code, status, name = found.groups()
    error = errors.service_error(code, heading, int(status))
    assert type(error).__name__ == name
    assert error.status == int(status)


@pytest.mark.parametrize(("heading", "name"), OWN, ids=[heading for heading, _ in OWN])
def test_a_message_of_our_own_is_in_the_package(heading: str, name: str) -> None:
    # A number stands for a value; the name of an argument and the remedy are texts of their own.
    for fragment in re.split(r"\d+|use_converse: |; ", heading):
        assert fragment.strip() in texts_of_the_package()
    assert name in {*errors.__all__, "TypeError", "ResourceWarning"}


def test_each_class_that_is_named_exists() -> None:
    named = {name for _, found in MESSAGES for name in found.groups()[2:]}
    assert named <= {*errors.__all__}
