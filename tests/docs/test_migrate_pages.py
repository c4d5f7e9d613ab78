"""Each page about a move compares the same things, and what it imports of the other library is there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re

import pytest

from tests.support.page_tables import DOCS

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((DOCS / "migrate").glob("*.md"))}
TOPICS = ("A stream", "Tools", "Structured output", "Retries", "Errors")
BLOCK = re.compile(r"```python[^\n]*\n(.*?)```", re.DOTALL)


def programs(page: str) -> list[ast.Module]:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return [compile(code, "page", "exec", flags=flags) for code in BLOCK.findall(PAGES[page])]


def imported(page: str) -> set[tuple[str, str]]:
    """Return the modules and names that the programs of a page import."""
    return {
        (node.module or "", alias.name)
        for program in programs(page)
        for node in ast.walk(program)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_there_is_a_page_for_each_library() -> None:
    assert set(PAGES) == {"boto3", "aiobotocore", "anthropic", "openai", "litellm", "langchain-aws"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_compares_the_same_topics(page: str) -> None:
    headings = re.findall(r"^## (.+)$", PAGES[page], re.MULTILINE)
    assert all(any(heading.startswith(topic) for heading in headings) for topic in TOPICS)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_as_many_programs_before_as_after(page: str) -> None:
    titles = re.findall(r'```python title="([^"]+)"', PAGES[page])
    before = [title for title in titles if title != "bedrock_stream"]
    # "Keep your code" and credentials have no counterpart.
    assert len(before) >= len(TOPICS)
    assert len(titles) - len(before) >= len(TOPICS)


@pytest.mark.filterwarnings("default")  # an import of another library may warn
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_imports_is_there(page: str) -> None:
    absent = set()
    for module, name in imported(page):
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            absent.add(module)
        else:
            assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"
    if absent:
        pytest.skip(f"not installed: {', '.join(sorted(absent))}")
