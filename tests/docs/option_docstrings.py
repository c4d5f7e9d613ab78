"""Read the options from the source of the package: names, values, defaults, and the docstring below each field."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import NamedTuple, get_args

from bedrock_stream import Client
from bedrock_stream.types import call_options, settings

__all__ = ("Field", "client_fields", "option_fields", "settings_fields")


class Field(NamedTuple):
    """One option."""

    name: str
    values: str
    default: str
    meaning: str
    raw: bool = False
    """True for options of calls whose body is the caller's own."""


def option_fields() -> Iterator[Field]:
    """Yield the options of a call, in the order of the code."""
    classes = _classes(call_options)
    for name in ("RawOptions", "PlainOptions", "CallOptions"):
        for field, annotation, _, text in _fields(classes[name]):
            meaning, default = _split_default(text)
            yield Field(field, _values(annotation), default or "none", meaning, name == "RawOptions")


def settings_fields(name: str) -> Iterator[Field]:
    """Yield the fields of `Timeouts`, `RetryPolicy` or `Target`."""
    for field, annotation, default, text in _fields(_classes(settings)[name]):
        yield Field(field, _values(annotation), f"`{default}`", text)


def client_fields() -> Iterator[Field]:
    """Yield the arguments of `Client`, whose meanings are in its docstring."""
    parameters = inspect.signature(Client.__init__).parameters
    meanings = _client_meanings(inspect.getdoc(Client) or "", set(parameters))
    tree = ast.parse(textwrap.dedent(inspect.getsource(Client.__init__))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    for argument, default in zip(tree.args.kwonlyargs, tree.args.kw_defaults, strict=True):
        assert argument.annotation is not None
        assert default is not None
        values, meaning = _values(argument.annotation), meanings[argument.arg]
        yield Field(argument.arg, values, _client_default(default, values, meaning), meaning)


def _client_default(default: ast.expr, values: str, meaning: str) -> str:
    """Return the default of an argument; None stands for what the docstring says after "else"."""
    if isinstance(default, ast.Lambda):
        return "the system's clock"
    if ast.unparse(default) != "None":
        return f"`{ast.unparse(default)}`"
    if values in ("`Timeouts`", "`RetryPolicy`"):
        return f"{values[:-1]}()`"
    _, _, otherwise = meaning.partition("; else ")
    return otherwise.removesuffix(".") or "none"


def _client_meanings(text: str, names: set[str]) -> dict[str, str]:
    """Return the text after each "`name`: " or "`name`, `name`: " of a docstring, by name."""
    body = text.partition("Where requests are sent")[2].partition("\nRaises ")[0]
    # Headings are less indented than items.
    items = " ".join(line.strip() for line in body.splitlines() if line.startswith("    "))
    starts = [
        match for match in re.finditer(r"(`\w+`(?:, `\w+`)*): ", items) if set(re.findall(r"\w+", match[1])) <= names
    ]
    ends = [match.start() for match in starts[1:]] + [len(items)]
    return {
        name: items[match.end() : end].strip()
        for match, end in zip(starts, ends, strict=True)
        for name in re.findall(r"\w+", match[1])
    }


def _classes(module: ModuleType) -> dict[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(module))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _fields(tree: ast.ClassDef) -> Iterator[tuple[str, ast.expr, str, str]]:
    """Yield name, annotation, default and docstring of each field of a class."""
    for node, following in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            assert isinstance(following, ast.Expr)
            assert isinstance(following.value, ast.Constant)
            default = "" if node.value is None else ast.unparse(node.value)
            yield node.target.id, node.annotation, default, " ".join(str(following.value.value).split())


def _split_default(text: str) -> tuple[str, str]:
    """Return a docstring without its "Default: ...", and that."""
    match = re.search(r" Default: (.+?)\.(?= Source: |$)", text)
    return (text, "") if match is None else (text[: match.start()] + text[match.end() :], match[1])


def _values(node: ast.expr) -> str:
    """Return the values of an annotation in words, without None."""
    match node:
        case ast.BinOp():
            return _either(part for part in map(_values, _alternatives(node)) if part != "`None`")
        case ast.Subscript(ast.Name("Literal"), ast.Tuple(words)):
            return ", ".join(_word(ast.literal_eval(word)) for word in words)
        case ast.Subscript(ast.Name("Literal"), word):
            return _word(ast.literal_eval(word))
        case ast.Subscript(ast.Name("Sequence"), item):
            return f"a sequence of {_values(item)}"
        case ast.Subscript(ast.Name("Mapping"), _):
            return "a dict"
        case ast.Subscript(ast.Name("Callable"), _):
            return "a function"
        case ast.Name(name) if _words_of(name):  # such as `Effort`
            return ", ".join(map(_word, _words_of(name)))
        case ast.Name(name) if name in _IN_WORDS:
            return _IN_WORDS[name]
    return f"`{ast.unparse(node).replace('ssl_module.', 'ssl.')}`"


_IN_WORDS = {
    "ApiKeySource": "`str` or a function",
    "KeyLike": "`str` or a dict",
    "Provider": "`Credentials`, a source, a function or a session",
    "ToolLike": "functions, classes, `Tool`, `SystemTool` or dicts",
    "Any": "as in `Client`",
    "type": "a class",
}


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


def _either(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} or {last}" if most else last


def _words_of(name: str) -> tuple[str, ...]:
    """Return the words of an alias of a `Literal`; none for any other name."""
    words = get_args(getattr(call_options, name, None))
    return words if all(isinstance(word, str) for word in words) else ()


def _word(value: object) -> str:
    return f'`"{value}"`' if isinstance(value, str) else f"`{value!r}`"
