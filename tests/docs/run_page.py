"""Run the Python blocks of one page in order, in one namespace and on one event loop.

    python -m tests.docs.run_page PAGE

A block whose title is the name of a file is also written to the current folder, so that later blocks can import it. A
block of a package that is not installed is compiled and not run. Line numbers in tracebacks are those of the page.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from tests.support.doc_pages import Block, blocks


def compiled(page: Path, block: Block) -> CodeType:
    padded = "\n" * (block.line - 1) + block.code
    code: CodeType = compile(padded, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


def missing(block: Block) -> list[str]:
    """Return the packages that a block imports and that are not installed."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.Import):
            named |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module.partition(".")[0])
    return sorted(name for name in named if importlib.util.find_spec(name) is None)


def run(page: Path) -> None:
    # A module that is empty, so that a block has no name but its page's, and is imported as the program's own.
    sys.modules["__main__"] = ModuleType("__main__")
    namespace: dict[str, Any] = sys.modules["__main__"].__dict__
    with asyncio.Runner() as runner:
        for block in blocks(page):
            if not block.runs:
                continue
            code = compiled(page, block)
            if block.title.endswith(".py"):
                Path(block.title).write_text(block.code, encoding="utf-8")
            if absent := missing(block):
                print(f"line {block.line}: not run without {', '.join(absent)}")
            elif code.co_flags & inspect.CO_COROUTINE:
                runner.run(eval(code, namespace))  # noqa: S307 - our own page
            else:
                exec(code, namespace)  # noqa: S102 - our own page


if __name__ == "__main__":
    run(Path(sys.argv[1]))
