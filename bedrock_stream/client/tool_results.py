"""What a tool's return value or exception becomes: a `ToolResult` that the next request can carry.

An exception becomes an error result with its type and message, never with a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..types.messages import Json, Raw, ResultBlock, Text, ToolCall, ToolResult

__all__ = ("check_encodable", "describe_error", "failed_result", "message_of", "result_of")

# How much deeper a result is nested in a request than on its own, and what the stack of the caller may need.
_NESTING = 100


def result_of(call: ToolCall, value: Any) -> ToolResult:
    """Return the result of a call from what its function returned. Raises `TypeError` or `ValueError` if not JSON."""
    result = ToolResult(call.id, _content(value), "success", name=call.name)
    check_encodable(result)
    return result


def failed_result(call: ToolCall, text: str) -> ToolResult:
    """Return an error result with a text for the model."""
    return ToolResult(call.id, text, "error", name=call.name)


def check_encodable(result: ToolResult) -> None:
    """Raise `ValueError` or `RecursionError` for a result that would make the next request fail."""
    for block in result.content:
        match block:
            case Text(text):
                text.encode()
            case Json(value) | Raw(value):
                for _ in range(_NESTING):
                    value = [value]
                msgspec.json.encode(value)


def describe_error(error: BaseException) -> str:
    """Return the type and the message of an exception for the model; of each exception in a group."""
    described = []
    for leaf in _leaves(error):
        text = message_of(leaf)
        described.append(f"{type(leaf).__name__}: {text}" if text else type(leaf).__name__)
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return f"The tool tried to end the program, which is not allowed ({described[0]})."
    return "; ".join(described)


def message_of(error: BaseException) -> str:
    """Return the message of an exception, as text that can be sent."""
    try:
        text = str(error)
    except Exception:  # a __str__ that fails
        return ""
    # Paths in error messages may contain surrogates, which cannot be sent.
    return text.encode("utf-8", "replace").decode()


def _leaves(error: BaseException) -> Iterator[BaseException]:
    waiting = [error]
    while waiting:
        current = waiting.pop()
        if isinstance(current, BaseExceptionGroup):
            waiting += reversed(current.exceptions)
        else:
            yield current


def _content(value: Any) -> Any:
    """Convert a function's return value to the content of a result. Raises `TypeError` if it is not JSON."""
    if value is None:
        return "Done."
    if isinstance(value, str) and value.strip():  # the service rejects blank text
        return value
    items = value if isinstance(value, list | tuple) else (value,)
    if any(isinstance(item, ResultBlock) for item in items):
        return value
    plain = msgspec.to_builtins(value, enc_hook=_plain)
    # A json block of Converse must be an object. It is wrapped, since a dict with one key looks like a content block.
    return Json(plain) if isinstance(plain, dict) else msgspec.json.encode(plain).decode()


def _plain(value: Any) -> Any:
    """Convert a pydantic model within a return value, for msgspec."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"cannot convert {type(value).__name__} to JSON")
