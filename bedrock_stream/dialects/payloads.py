"""JSON payloads, exception frames, and taking members out of JSON objects: shared by all dialects.

Readers remove the members that they know from an object. Whatever is left is passed on as unknown.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import BedrockStreamError, InvalidFrame, service_error
from ..eventstream import Frame
from ..types.checks import check_cost, is_instance

__all__ = (
    "decode_object",
    "frame_error",
    "pop",
    "pop_as",
    "pop_object",
    "pop_optional",
    "put_back",
    "take",
    "take_nested",
    "without_nulls",
)


def decode_object(payload: bytes, what: str) -> dict[str, Any]:
    """Decode a JSON object. Raises `InvalidFrame`, which names the payload as `what`."""
    try:
        check_cost(payload)
    except ValueError as error:
        raise InvalidFrame(f"{what} cannot be decoded: {error}") from None
    try:
        wire = msgspec.json.decode(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidFrame(f"{what} is not JSON: {error}") from None
    if not isinstance(wire, dict):
        raise InvalidFrame(f"{what}: expected a JSON object, got {type(wire).__name__}")
    return wire


def frame_error(frame: Frame) -> BedrockStreamError:
    """Return the error for a frame that is not an event: an exception frame, an error frame, or neither."""
    headers = frame.headers
    # An exception frame has a JSON payload, an error frame usually has none. Any payload must still become an error.
    try:
        check_cost(frame.payload)
        body = msgspec.json.decode(frame.payload) if frame.payload else {}
    except (ValueError, RecursionError):
        body = {"message": frame.payload[:200].decode("utf-8", "replace")}
    if not isinstance(body, dict):
        body = {"message": str(body)[:200]}
    code = headers.get(":exception-type") or headers.get(":error-code")
    # Bedrock spells this member `Message` in some errors.
    message = headers.get(":error-message") or body.get("message") or body.get("Message") or ""
    if code is None and headers.get(":message-type") not in ("exception", "error"):
        return InvalidFrame(f"expected an event, exception or error frame, got the headers {dict(headers)!r}")
    return service_error(str(code or ""), str(message), mid_stream=True, extra=body)


_Wire = dict[str, Any]


def pop(wire: _Wire, key: str, kind: type) -> Any:
    """Remove and return a required member. Raises `KeyError` or `TypeError`."""
    if not is_instance(wire[key], kind):
        raise TypeError(f"{key}: expected {kind.__name__}, got {type(wire[key]).__name__}")
    return wire.pop(key)


def pop_optional(wire: _Wire, key: str, kind: type) -> Any:
    """Remove and return a member, or return None if it is absent or null. Raises `TypeError` for another type."""
    return None if wire.get(key) is None else pop(wire, key, kind)


def pop_as(wire: _Wire, key: str, kind: Any) -> Any:
    """Remove and return a member of any type, nested ones included, or None. Raises `ValueError` for another type."""
    return msgspec.convert(wire.pop(key, None), kind | None)


def take(wire: _Wire, key: str, kind: type) -> Any:
    """Remove and return a member if it has this type. Otherwise leave it and return None."""
    return wire.pop(key) if is_instance(wire.get(key), kind) else None


def take_nested(wire: _Wire, key: str, inner: str, kind: type) -> Any:
    """Remove and return the member `inner` of the member `key`, as `take` does."""
    if not isinstance(wire.get(key), dict):
        return None
    rest = pop_object(wire, key)
    value = take(rest, inner, kind)
    put_back(wire, key, rest)
    return value


def pop_object(wire: _Wire, key: str) -> _Wire:
    """Remove a required object and return a copy without nulls. Raises `KeyError` or `TypeError`."""
    return without_nulls(pop(wire, key, dict))


def without_nulls(wire: _Wire) -> _Wire:
    """Return a copy without nulls: on these APIs a null member means the same as an absent one."""
    return {key: value for key, value in wire.items() if value is not None}


def put_back(wire: _Wire, key: str, rest: _Wire) -> None:
    """Put the unknown members of a removed object back, so that they are passed on."""
    if rest:
        wire[key] = rest
