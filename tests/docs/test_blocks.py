"""Every Python block of the documentation runs as it is printed, against the emulator, one process a page."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from bedrock_stream.errors import ConfigurationError
from bedrock_stream.testing import ThreadedEmulator
from tests.support.doc_pages import README, blocks, name_of, pages
from tests.support.doc_runs import environment, run_python, run_tests

# README's programs are complete, each by itself: see tests/promises/test_readme.py.
PAGES = [page for page in pages() if page != README and any(block.runs for block in blocks(page))]
PYTHON = {
    f"{name_of(page)}:{block.line}": block for page in pages() for block in blocks(page) if block.language == "python"
}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_programs_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    with ThreadedEmulator() as emulator:
        done = run_python(["-m", "tests.docs.run_page", str(page)], tmp_path, environment(emulator.url))
    # asyncio's debug mode warns of slow callbacks, which depend on how busy the machine is.
    warned = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert done.returncode == 0, done.stderr
    assert warned == [], done.stderr


@pytest.mark.parametrize("place", [place for place, block in PYTHON.items() if block.tests and block.runs])
def test_the_tests_of_a_page_pass_as_printed(place: str, tmp_path: Path) -> None:
    done = run_tests(PYTHON[place].code, tmp_path)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.parametrize("place", PYTHON)
def test_a_block_imports_what_there_is(place: str) -> None:
    """A block that is not run compiles too."""
    tree = compile(PYTHON[place].code, place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bedrock_stream"):
            try:
                module = importlib.import_module(node.module or "")
            except ConfigurationError as error:  # of an extra that is not installed
                pytest.skip(str(error))
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_few_blocks_are_exempt() -> None:
    exempt = [place for place, block in PYTHON.items() if not block.runs]
    assert len(exempt) <= len(PYTHON) / 5, exempt


@pytest.mark.parametrize("name", ["Temporal", "Celery", "taskiq", "Dask", "Spark"])
def test_a_recipe_is_short(name: str) -> None:
    page = next(page for page in pages() if page.name == "recipes.md")
    section = page.read_text(encoding="utf-8").split(f"## {name}\n")[1]
    program = section.split("```python\n")[1].split("```")[0]
    assert len([line for line in program.splitlines() if line.strip()]) <= 15
