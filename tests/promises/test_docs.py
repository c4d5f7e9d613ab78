"""The programs of the documentation compile, and name what there is."""

from __future__ import annotations

import ast
import importlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedrock_stream.errors import ConfigurationError

DOCS = Path(__file__).parents[2] / "docs" / "guides"
ALLOWED = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # parts of a program that runs in a coroutine


def programs() -> Iterator[tuple[str, str]]:
    for path in sorted(DOCS.glob("*.md")):
        found = re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for number, program in enumerate(found):
            yield f"{path.name}-{number}", textwrap.dedent(program)


@pytest.mark.parametrize(("name", "program"), [pytest.param(*found, id=found[0]) for found in programs()])
def test_a_program_compiles_and_imports_what_there_is(name: str, program: str) -> None:
    compile(program, name, "exec", flags=ALLOWED)
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bedrock_stream"):
            try:
                module = importlib.import_module(node.module or "")
            except ConfigurationError as error:  # of an extra that is not installed
                pytest.skip(str(error))
            assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.parametrize("name", ["Temporal", "Celery", "taskiq", "Dask", "Spark"])
def test_a_recipe_is_short(name: str) -> None:
    section = (DOCS / "recipes.md").read_text(encoding="utf-8").split(f"## {name}\n")[1]
    program = section.split("```python\n")[1].split("```")[0]
    assert len([line for line in program.splitlines() if line.strip()]) <= 15
