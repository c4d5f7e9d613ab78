"""The package is written in plain technical English, in short functions and files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TypeAlias

import bedrock_stream

ROOT = Path(bedrock_stream.__file__).parent
SOURCES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

# -------------------------------------------------------------------------------------------------------------- phrases

# Phrases of an older style, which read as odd English. Case does not matter.
AVOIDED = re.compile(
    r"""
      \b(is|are)\ no\ (?!longer|more|less)[a-z]       # "X is no Y": "X is not a Y", or "expected a Y, got X"
    | \b(is|are)\ none\b                              # "the list is empty"; the value is "`None`"
    | ;\ give\ (a|an|the|one|it|seconds|functions)\b  # "; pass a ..."
    | \bmend(ed|s|ing)?\b                             # "fix"
    | \bgoes\ before\b                                # "takes precedence over"
    | \bwhoever\b                                     # name the class or the role
    | \bwhat\ (it|they|this)\ rests?\ on\b            # "internals", "dependencies"
    | \bthe\ last\ touch\b
    | \bhears?\ of\ it\b                              # "is notified"
    """,
    re.IGNORECASE | re.VERBOSE,
)

# Messages of the service that contain such a phrase, and are quoted byte for byte: (file, text) and the reason.
QUOTED: dict[tuple[str, str], str] = {}


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string literal, docstrings and the constant parts of f-strings included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def without_quotes(name: str, text: str) -> str:
    for file, quote in QUOTED:
        if file == name:
            text = text.replace(quote, "")
    return " ".join(text.split())


def test_no_text_contains_a_phrase_to_avoid() -> None:
    found = [
        f"{name}:{line}: {match[0]!r} in {text!r}"
        for name, tree in TREES.items()
        for line, text in literals(tree)
        for match in AVOIDED.finditer(without_quotes(name, text))
    ]
    assert not found, "\n".join(found)


def test_each_quote_of_the_service_is_in_the_package_and_needed() -> None:
    for name, quote in QUOTED:
        assert any(quote in text for _, text in literals(TREES[name])), quote
        assert AVOIDED.search(quote), quote


# -------------------------------------------------------------------------------------------------- lengths, docstrings

LONGEST_FILE = 450
LONGEST_FUNCTION = 45
LONGEST_MEDIAN = 7
# The first words of clauses and noun phrases; the docstring of a function begins with a verb.
NOT_VERBS = {"what", "how", "whether", "where", "who", "whose", "whom", "the", "a", "an"}
PROPERTIES = {"property", "cached_property", "setter", "getter"}


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: Function) -> int:
    """Return the number of lines from `def` to the end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def is_property(function: Function) -> bool:
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in function.decorator_list}
    return bool(names & PROPERTIES)


def test_no_file_is_too_long() -> None:
    lengths = {name: len(source.splitlines()) for name, source in SOURCES.items()}
    assert not {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{name}:{function.lineno}: {function.name}": length(function)
        for name, tree in TREES.items()
        for function in functions(tree)
    }
    assert not {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION}


def test_most_functions_are_short() -> None:
    assert median(length(function) for tree in TREES.values() for function in functions(tree)) <= LONGEST_MEDIAN


def first_word(function: Function) -> str:
    return (ast.get_docstring(function) or "").partition(" ")[0].strip(".,:;`").lower()


def test_the_docstring_of_a_public_function_begins_with_a_verb() -> None:
    found = [
        f"{name}:{function.lineno}: {function.name}: {ast.get_docstring(function)!r}"
        for name, tree in TREES.items()
        for function in functions(tree)
        if first_word(function) in NOT_VERBS and not function.name.startswith("_") and not is_property(function)
    ]
    assert not found, "\n".join(found)
