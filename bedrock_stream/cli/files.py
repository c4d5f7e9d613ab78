"""Read the files that options name. A failure is an error of the option: a missing file, another type, invalid JSON.

The options' names are in `exit_codes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import ConfigurationError
from ..types.media import Attachment, Document, Image
from .schema_match import check_schema

__all__ = ("read_attachments", "read_schema")

_A = TypeVar("_A", bound=Attachment)


def read_attachments(images: Sequence[str], documents: Sequence[str]) -> list[Document | Image]:
    """Return the files of `--document` and `--image`, in this order. Raises `ConfigurationError`."""
    return [
        *(_read(Document, "document", path) for path in documents),
        *(_read(Image, "image", path) for path in images),
    ]


def _read(kind: type[_A], option: str, path: str) -> _A:
    try:
        if Path(path).is_file() and not Path(path).stat().st_size:
            raise ConfigurationError(option, f"{path} is empty")
        return kind.from_path(path)
    except ConfigurationError as error:
        raise _refused(option, path, error) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise _unreadable(option, path, error) from None


def _refused(option: str, path: str, error: ConfigurationError) -> ConfigurationError:
    """Return the error of an attachment for its option."""
    if error.argument == option:
        return error
    return ConfigurationError(option, f"{path}: {error.argument.partition('.')[2]}: {error.problem}", error.remedy)


def read_schema(value: str) -> dict[str, Any]:
    """Return the JSON Schema of `--schema`: JSON text that begins with a brace, else the name of a file.

    Raises `ConfigurationError`.
    """
    option, source = "schema", "the text"
    data = value.encode("utf-8", "surrogateescape")
    if not value.lstrip().startswith("{"):
        source = value
        try:
            data = Path(value).read_bytes()
        except (OSError, ValueError) as error:
            raise _unreadable(option, value, error) from None
    try:
        schema = msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(option, f"{source} is not valid JSON: {error}") from None
    if not isinstance(schema, dict):
        problem = f"expected a JSON object in {source}, got {type(schema).__name__}"
        raise ConfigurationError(option, problem, "pass a JSON Schema, or a file with one")
    check_schema(schema)
    return schema


def _unreadable(option: str, path: str, error: Exception) -> ConfigurationError:
    reason = getattr(error, "strerror", None) or error
    return ConfigurationError(option, f"cannot read {path}: {reason}", "pass the path of a file")
