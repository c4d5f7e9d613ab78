"""Every Python block of the documentation runs as it is printed, against the emulator, one process a page."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bedrock_stream.errors import ConfigurationError
from bedrock_stream.testing import API_KEY, REGION, ThreadedEmulator
from tests.support.doc_pages import README, ROOT, blocks, name_of, pages

# README's programs are complete, each by itself: see tests/promises/test_readme.py.
PAGES = [page for page in pages() if page != README and any(block.runs for block in blocks(page))]
PYTHON = {
    f"{name_of(page)}:{block.line}": block for page in pages() for block in blocks(page) if block.language == "python"
}
PYTEST = ["-m", "pytest", "-q", "-p", "pytest_asyncio.plugin", "-p", "bedrock_stream.testing.plugin"]
PYTEST += ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]


def run(arguments: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))}
    environ |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONPATH": str(ROOT),
        **more,
    }
    command = [sys.executable, "-X", "dev", "-W", "error", *arguments]
    return subprocess.run(  # noqa: S603 - our own programs
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=55
    )


def settings(emulator: ThreadedEmulator) -> Mapping[str, str]:
    """Return the environment in which a program finds the emulator, as the reader finds AWS."""
    return {
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": emulator.url,
        "AWS_BEARER_TOKEN_BEDROCK": API_KEY,
        "AWS_REGION": REGION,
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_programs_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    with ThreadedEmulator() as emulator:
        done = run(["-m", "tests.docs.run_page", str(page)], tmp_path, **settings(emulator))
    # asyncio's debug mode warns of slow callbacks, which depend on how busy the machine is.
    warned = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert done.returncode == 0, done.stderr
    assert warned == [], done.stderr


@pytest.mark.parametrize("place", [place for place, block in PYTHON.items() if block.tests and block.runs])
def test_the_tests_of_a_page_pass_as_printed(place: str, tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text(PYTHON[place].code, encoding="utf-8")
    done = run([*PYTEST, "test_page.py"], tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
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
