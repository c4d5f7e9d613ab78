"""Fit a JSON Schema to the subset that constrained decoders take, and inline its definitions. Pure.

Source: the pages on structured output of Anthropic and Amazon Bedrock, and refusals of the service that were reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from typing import Any
from urllib.parse import unquote

from ..errors import ConfigurationError

__all__ = ("fit_schema", "inline_definitions")

_Path = tuple[str, ...]

# Where a schema contains schemas: in a map of names, in a list, as the value itself. Elsewhere (`enum`, `default`) the
# same words are data.
_MAPS = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_SINGLE = frozenset(
    {"items", "contains", "additionalProperties", "not", "if", "then", "else", "propertyNames", "additionalItems"}
)
_DEFINITIONS = ("$defs", "definitions")
# Keywords that describe without restricting, so that those beside a reference take precedence over the definition's.
_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"})

# Definitions that refer to others twice each double with every step, so that inlining needs a limit.
_MAX_SCHEMAS = 5000

_WORDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "greater than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches the regular expression {}",
    "format": "in the format {}",
}
# Keywords that the decoders refuse or ignore, besides those that depend on their value.
_REMOVED = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "maxItems", "uniqueItems"),
        *("minProperties", "maxProperties", "propertyNames", "dependentRequired", "dependentSchemas", "dependencies"),
        *("not", "if", "then", "else", "contentEncoding", "contentMediaType"),
    }
)
_CONTAINS = frozenset({"contains", "minContains", "maxContains"})
# Keywords that say nothing to a model, or nothing more once objects are closed and arrays have one kind of items.
_SILENT = frozenset(
    {"$schema", "$id", "$comment", "discriminator", "unevaluatedProperties", "unevaluatedItems", "additionalItems"}
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
# Lookaround, backreferences, escaped digits and word boundaries; `\\\\` is a literal backslash.
_HARD_PATTERN = re.compile(r"(?:^|[^\\])(?:\\\\)*(?:\(\?(?:[=!]|<[=!]|P=)|\\[0-9kbB])")


def inline_definitions(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with its local `$ref`s replaced by what they refer to, and without unused definitions.

    References of recursive types stay, as do all of them where the result would be too large.

    >>> inline_definitions({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}})
    {'properties': {'a': {'type': 'string'}}}
    """
    try:
        return _Inliner(schema).inlined()
    except (_TooLargeError, RecursionError):  # the latter is nested too deep for any JSON parser
        return dict(schema)


def fit_schema(
    schema: Mapping[str, Any], *, option: str, contains: bool, changes: MutableSequence[str] | None = None
) -> dict[str, Any]:
    """Return a schema that a constrained decoder takes, with inlined definitions.

    Every object is closed. What the decoder refuses is moved into the description in words, with a sentence in
    `changes`. `contains` tells whether this keyword is taken. Raises `ConfigurationError` for `option` with the path in
    the schema of what cannot be expressed: objects with arbitrary keys, and recursion.

    >>> fit_schema({"type": "integer", "minimum": 0}, option="output_schema", contains=False)
    {'type': 'integer', 'description': 'At least 0'}
    """
    try:
        return _Fitter(inline_definitions(schema), option, contains, [] if changes is None else changes).fitted()
    except RecursionError:
        raise ConfigurationError(option, "the schema is nested too deep", "use fewer levels") from None


# ----------------------------------------------------------------------------------------------------------- internals


class _TooLargeError(Exception):
    pass


def _mapped(schema: Mapping[str, Any], change: Callable[[Any, _Path], Any], path: _Path = ()) -> dict[str, Any]:
    """Return a schema with each schema directly inside it changed."""
    result = dict(schema)
    for key, value in schema.items():
        if key in _MAPS and isinstance(value, Mapping):
            result[key] = {name: change(inner, (*path, key, str(name))) for name, inner in value.items()}
        elif key in _LISTS and isinstance(value, list | tuple):
            result[key] = [change(inner, (*path, f"{key}[{index}]")) for index, inner in enumerate(value)]
        elif key in _SINGLE and isinstance(value, Mapping):
            result[key] = change(value, (*path, key))
    return result


def _references(schema: Any) -> Iterator[str]:
    """Yield every `$ref` in a schema."""
    found: list[str] = []

    def visit(inner: Any, _path: _Path = ()) -> Any:
        if isinstance(inner, Mapping):
            if isinstance(inner.get("$ref"), str):
                found.append(inner["$ref"])
            _mapped(inner, visit)
        return inner

    visit(schema)
    return iter(found)


def _resolve(root: Mapping[str, Any], reference: str) -> Mapping[str, Any] | None:
    """Return what a JSON pointer (RFC 6901) in a fragment refers to; None for another kind of reference."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    node: Any = root
    for part in unquote(reference).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping):
            node = node.get(name)
        elif isinstance(node, list | tuple) and re.fullmatch(r"[0-9]{1,6}", name) and int(name) < len(node):
            node = node[int(name)]
        else:
            return None
    return node if isinstance(node, Mapping) else None


def _recursive(root: Mapping[str, Any]) -> frozenset[str]:
    """Return the references from which one comes back to themselves."""
    edges: dict[str, set[str]] = {}
    pending = list(_references(root))
    while pending:
        reference = pending.pop()
        if reference not in edges:
            edges[reference] = set(_references(_resolve(root, reference)))
            pending += edges[reference]
    return frozenset(reference for reference in edges if reference in _reachable(edges, edges[reference]))


def _reachable(edges: Mapping[str, set[str]], start: set[str]) -> set[str]:
    reached: set[str] = set()
    pending = list(start)
    while pending:
        reference = pending.pop()
        if reference not in reached:
            reached.add(reference)
            pending += edges.get(reference, ())
    return reached


class _Inliner:
    """Inlines the definitions of one schema."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._recursive = _recursive(root)
        self._left = _MAX_SCHEMAS

    def inlined(self) -> dict[str, Any]:
        root = self._root
        result: dict[str, Any] = self._expand({key: root[key] for key in root if key not in _DEFINITIONS})
        kept: set[str] = set()
        pending = list(_references(result))
        while pending:  # the definitions of recursive types, and those that they need
            reference = pending.pop()
            if reference in kept:
                continue
            kept.add(reference)
            group, _, rest = unquote(reference).removeprefix("#/").partition("/")
            name = rest.partition("/")[0].replace("~1", "/").replace("~0", "~")
            definitions = root.get(group) if group in _DEFINITIONS else None
            if isinstance(definitions, Mapping) and name in definitions:
                definition = self._expand(definitions[name])
                result.setdefault(group, {})[name] = definition
                pending += _references(definition)
        return result

    def _expand(self, schema: Any, _path: _Path = ()) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        self._left -= 1
        if self._left < 0:
            raise _TooLargeError
        reference = schema.get("$ref")
        if not isinstance(reference, str) or reference in self._recursive:
            return _mapped(schema, self._expand)
        target = _resolve(self._root, reference)
        if target is None:
            return _mapped(schema, self._expand)
        inlined: dict[str, Any] = self._expand({key: target[key] for key in target if key not in _DEFINITIONS})
        beside: dict[str, Any] = self._expand({key: schema[key] for key in schema if key != "$ref"})
        if all(key in _ANNOTATIONS or key not in inlined for key in beside):
            return {**inlined, **beside}
        return {"allOf": [inlined, beside]}


class _Fitter:
    """Fits one schema, whose references are those that could not be inlined."""

    def __init__(self, root: Mapping[str, Any], option: str, contains: bool, changes: MutableSequence[str]) -> None:
        self._root = root
        self._recursive = _recursive(root)
        self._option = option
        self._contains = contains
        self._changes = changes

    def fitted(self) -> dict[str, Any]:
        result: dict[str, Any] = self._fit(self._root, ())
        if any(_references({key: result[key] for key in result if key not in _DEFINITIONS})):
            return result
        return {key: value for key, value in result.items() if key not in _DEFINITIONS}

    def _fit(self, schema: Any, path: _Path) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        self._check_reference(schema, path)
        merged, words = _one_kind_of_items(self._merged(schema, path))
        if "oneOf" in merged and "anyOf" not in merged:  # decoders know only `anyOf`, which allows the same values
            merged["anyOf"] = merged.pop("oneOf")
        closed = self._closed(merged, path)
        removed = [key for key in closed if self._is_refused(key, closed[key])]
        words += [_in_words(key, closed[key]) for key in removed]
        self._changes.extend(
            f"{self._option}: {key} was moved into the description at {_place(path)}" for key in removed
        )
        kept = {key: value for key, value in closed.items() if key not in removed and key not in _SILENT}
        fitted = _mapped(kept, self._fit, path)
        return _described(fitted, words) if words else fitted

    def _refuse(self, path: _Path, problem: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(self._option, f"{_place(path)}: {problem}", remedy)

    def _check_reference(self, schema: Mapping[str, Any], path: _Path) -> None:
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return
        if reference in self._recursive:
            problem = f"recursion ({reference}) cannot be expressed in structured output"
            raise self._refuse(path, problem, "use a type for each level, or a flat list")
        if _resolve(self._root, reference) is None:
            raise self._refuse(path, f"{reference} does not refer to a part of the schema", "put it into $defs")

    def _merged(self, schema: Mapping[str, Any], path: _Path) -> dict[str, Any]:
        """Return a schema with the parts of its `allOf` in it: closed one by one, they would exclude each other."""
        result = {key: value for key, value in schema.items() if key != "allOf"}
        parts = schema.get("allOf")
        for index, part in enumerate(parts if isinstance(parts, list | tuple) else ()):
            if not isinstance(part, Mapping):
                continue
            inner = (*path, f"allOf[{index}]")
            self._check_reference(part, inner)
            for key, value in self._merged(part, inner).items():
                if key in _DEFINITIONS:
                    continue  # inlined
                if key not in result or result[key] == value:
                    result[key] = value
                elif key == "properties" and isinstance(value, Mapping) and isinstance(result[key], Mapping):
                    result[key] = _both(result[key], value)
                elif key == "required" and isinstance(value, list) and isinstance(result[key], list):
                    result[key] = [*result[key], *(name for name in value if name not in result[key])]
                elif key == "additionalProperties":
                    result[key] = False
                elif key not in _ANNOTATIONS:
                    raise self._refuse(inner, f"{key} differs from that of another part", "write allOf as one schema")
        return result

    def _closed(self, schema: dict[str, Any], path: _Path) -> dict[str, Any]:
        """Return a schema whose object, if it is one, has no other properties than those that it names."""
        kind, others = schema.get("type"), schema.get("additionalProperties")
        is_object = "object" in kind if isinstance(kind, list | tuple) else kind == "object"
        if not is_object and "properties" not in schema and not others:
            return schema
        remedy = "use a list of objects with a key and a value"
        if isinstance(others, Mapping) and others:
            raise self._refuse(
                path, "additionalProperties as a schema cannot be expressed in structured output", remedy
            )
        if schema.get("patternProperties"):
            raise self._refuse(path, "patternProperties cannot be expressed in structured output", remedy)
        if "properties" not in schema and others is not False:
            if "anyOf" in schema:  # its alternatives are closed instead
                return {key: value for key, value in schema.items() if key != "additionalProperties"}
            problem = "an object without named properties cannot be expressed in structured output"
            raise self._refuse(path, problem, f"name its properties, or {remedy}")
        return {**schema, "additionalProperties": False}

    def _is_refused(self, key: str, value: Any) -> bool:
        match key:
            case "minItems":
                return value not in (0, 1)
            case "pattern":
                return not isinstance(value, str) or _HARD_PATTERN.search(value) is not None
            case "format":
                return not isinstance(value, str) or value not in _FORMATS
            case "oneOf":  # beside `anyOf`
                return True
        return key in _REMOVED or (key in _CONTAINS and not self._contains)


def _one_kind_of_items(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the schema of a tuple as that of a list whose items are any of the tuple's, and their order in words."""
    items = schema.get("prefixItems", schema.get("items"))
    if not isinstance(items, list | tuple):
        return schema, []
    result = {key: value for key, value in schema.items() if key not in ("prefixItems", "items")}
    kinds = [kind for index, kind in enumerate(items) if kind not in items[:index]]
    if len(kinds) == 1:
        return {**result, "items": kinds[0]}, []
    names = [str(kind.get("title") or kind.get("type") or "any") for kind in items if isinstance(kind, Mapping)]
    return {**result, "items": {"anyOf": kinds}}, [f"items in this order: {', '.join(names)}"]


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of two schemas that both hold."""
    result = dict(one)
    for name, schema in other.items():
        result[name] = {"allOf": [result[name], schema]} if result.get(name, schema) != schema else schema
    return result


def _place(path: _Path) -> str:
    return ".".join(path) or "the top level"


def _in_words(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _WORDS.get(key, f"{key}: {{}}").replace("{}", text)


def _described(schema: dict[str, Any], words: list[str]) -> dict[str, Any]:
    text, before = ", ".join(words), schema.get("description")
    return {**schema, "description": f"{before} ({text})" if before else text[0].upper() + text[1:]}
