"""What every dialect does with bytes before their own meaning begins: JSON objects, exceptions, broken answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from ..errors import BedrockStreamError, InvalidFrame, service_error
from ..eventstream import Frame
from ..types.checks import is_instance

__all__ = (
    "answer_as_described",
    "decode_object",
    "failure",
    "keep",
    "members",
    "pop",
    "pop_as",
    "pop_if",
    "present",
    "take",
    "take_in",
)


def decode_object(payload: bytes, what: str) -> dict[str, Any]:
    """A JSON object. Raises `InvalidFrame`, naming `what` it should have been."""
    try:
        wire = msgspec.json.decode(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidFrame(f"{what} is not JSON: {error}") from None
    if not isinstance(wire, dict):
        raise InvalidFrame(f"{what} is a {type(wire).__name__}, not an object")
    return wire


@contextmanager
def answer_as_described() -> Iterator[None]:
    """Where a model's whole answer is taken apart: whatever that raises but errors of ours becomes `InvalidFrame`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InvalidFrame(f"the answer is not as the model describes it: {error!r}") from None


def failure(frame: Frame) -> BedrockStreamError:
    """An exception or error frame as the error that it stands for."""
    headers = frame.headers
    try:
        body = msgspec.json.decode(frame.payload) if frame.payload else {}
    except (ValueError, RecursionError):
        body = {"message": frame.payload[:200].decode("utf-8", "replace")}
    if not isinstance(body, dict):
        body = {"message": str(body)[:200]}
    code = headers.get(":exception-type") or headers.get(":error-code")
    message = headers.get(":error-message") or body.get("message") or body.get("Message") or ""
    if code is None and headers.get(":message-type") not in ("exception", "error"):
        return InvalidFrame(f"a frame names no event: its headers are {dict(headers)!r}")
    return service_error(str(code or ""), str(message), mid_stream=True, extra=body)


_Wire = dict[str, Any]


def pop(wire: _Wire, key: str, kind: type) -> Any:
    """Take a member out that must be there. Raises `KeyError` or `TypeError`."""
    if not is_instance(wire[key], kind):
        raise TypeError(f"{key} is a {type(wire[key]).__name__}")
    return wire.pop(key)


def pop_if(wire: _Wire, key: str, kind: type) -> Any:
    """Take a member out, or None where it is absent. Raises `TypeError` where it is something else."""
    return None if wire.get(key) is None else pop(wire, key, kind)


def pop_as(wire: _Wire, key: str, kind: Any) -> Any:
    """Take a member of any type out, however nested; None where it is absent or null. Raises `ValueError`."""
    return msgspec.convert(wire.pop(key, None), kind | None)


def take(wire: _Wire, key: str, kind: type) -> Any:
    """Take a member out where it is what it should be; whatever else it is stays."""
    return wire.pop(key) if is_instance(wire.get(key), kind) else None


def take_in(wire: _Wire, key: str, inner: str, kind: type) -> Any:
    """Take a member of a member out."""
    if not isinstance(wire.get(key), dict):
        return None
    rest = members(wire, key)
    value = take(rest, inner, kind)
    keep(wire, key, rest)
    return value


def members(wire: _Wire, key: str) -> _Wire:
    """Take an object out, to be taken apart itself. Raises `KeyError` or `TypeError`."""
    return present(pop(wire, key, dict))


def present(wire: _Wire) -> _Wire:
    """A copy without nulls."""
    return {key: value for key, value in wire.items() if value is not None}


def keep(wire: _Wire, key: str, rest: _Wire) -> None:
    """Put back what nobody took."""
    if rest:
        wire[key] = rest
