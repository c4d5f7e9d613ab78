"""Service errors as programs for boto3 catch them: `error.response["Error"]["Code"]`, and as botocore's `ClientError`.

An error of this kind is also the class of this library that it is elsewhere. It is a `ClientError` if botocore has been
imported: a program that has not imported it cannot catch one, and must not pay for it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from . import ServiceError
from .nesting import reduce_error, restore

__all__ = ("boto_error",)


def boto_error(error: ServiceError, operation: str, metadata: Mapping[str, Any]) -> ServiceError:
    """Return an error with botocore's attributes `response` and `operation_name`, equal to this one otherwise.

    `operation` is the operation's name in the service model, `metadata` the `ResponseMetadata` of its last response.
    """
    made: ServiceError = _made(type(error), error.mid_stream, error.args)
    made.__dict__.update(error.__dict__)
    made.__dict__["operation_name"] = operation
    made.__dict__["response"] = {
        "Error": {"Code": _code(error), "Message": error.message},
        "ResponseMetadata": {**metadata, "HTTPStatusCode": error.status},
    }
    return made


def _code(error: ServiceError) -> str:
    """Return the code as botocore has it: exceptions in a stream are members of a structure, so in camel case."""
    code = error.code or str(error.status)
    return code[:1].lower() + code[1:] if error.mid_stream and code.endswith("Exception") else code


def _made(kind: type[ServiceError], mid_stream: bool, args: tuple[Any, ...], nodes: Sequence[Any] = ()) -> Any:
    """Return an error of a class that is both this library's and botocore's, where botocore has been imported."""
    module = sys.modules.get("botocore.exceptions")
    base = getattr(module, "EventStreamError" if mid_stream else "ClientError", None)
    return restore(kind if base is None else _class_of(kind, base), args, nodes)


_classes: dict[tuple[type[Exception], ...], type[Exception]] = {}  # by their bases


def _class_of(*bases: type[Exception]) -> type[Exception]:
    kind = bases[0]
    if bases not in _classes:
        members = {"__doc__": kind.__doc__, "__module__": kind.__module__, "__reduce__": _reduce}
        _classes[bases] = type(kind.__name__, bases, members)
    return _classes[bases]


def _reduce(error: ServiceError) -> tuple[Any, ...]:
    """Return what makes the error again in another process, where botocore may not have been imported."""
    kind = type(error).__bases__[0]
    _, (_, *rest), *attributes = reduce_error(error)
    return _made, (kind, error.mid_stream, *rest), *attributes
