"""JSON payloads, exception frames, and taking members out of JSON objects: shared by all dialects.

Readers remove the members that they know from an object. Whatever is left is passed on as unknown.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import BedrockStreamError, InvalidFrame, ServiceError, service_error
from ..eventstream import Frame
from ..types.checks import check_cost, is_instance
from ..types.events import UnknownEvent
from .decoding import decode_any

__all__ = (
    "decode_object",
    "decode_response",
    "document_failure",
    "frame_error",
    "pop",
    "pop_as",
    "pop_object",
    "pop_optional",
    "put_back",
    "raise_error",
    "raise_if_failed",
    "take",
    "take_nested",
    "unknown_event",
    "without_nulls",
)


# Members that a document has if it may be an error; see `error_documents`.
_SIGNS = frozenset(
    {"message", "Message", "errorMessage", "ErrorMessage", "error_message", "detail", "Detail", "error", "Error"}
    | {"errors", "Errors", "fault", "Fault", "status", "Status", "__type", "Output"}
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


def decode_response(body: bytes) -> dict[str, Any]:
    """Decode the JSON object of a whole response. Raises `InvalidFrame`, and `ServiceError` if it is an error."""
    wire = decode_object(body, "the response")
    raise_error(wire)
    return wire


def raise_error(wire: dict[str, Any], *, mid_stream: bool = False) -> None:
    """Raise `ServiceError` if a document that came with HTTP 200 is an error: its own, or a gateway's."""
    if not _SIGNS.isdisjoint(wire):
        from .error_documents import document_error

        if (error := document_error(wire, mid_stream=mid_stream)) is not None:
            raise error


def document_failure(body: bytes) -> ServiceError | None:
    """Return the error in a body of an unknown format that came with HTTP 200, or None."""
    document = decode_any(body)
    if isinstance(document, dict):
        try:
            raise_error(document)
        except ServiceError as error:
            return error
    return None


def raise_if_failed(wire: dict[str, Any], *, mid_stream: bool = False) -> None:
    """Raise `ServiceError` if a document of a known API has an error, whatever is beside it."""
    if wire.get("error"):
        from .error_documents import foreign_error

        raise foreign_error(wire, mid_stream=mid_stream)


def frame_error(frame: Frame) -> BedrockStreamError:
    """Return the error for a frame that is not an event: an exception frame, an error frame, or neither."""
    from .error_documents import describe_error

    headers, payload = frame.headers, frame.payload
    # An exception frame has a JSON payload, an error frame usually has none. Any payload must still become an error.
    body = decode_any(payload) if payload else {}
    code, words = describe_error(payload, body)
    code = str(headers.get(":exception-type") or headers.get(":error-code") or code)
    if not code and headers.get(":message-type") not in ("exception", "error"):
        return InvalidFrame(f"expected an event, exception or error frame, got the headers {dict(headers)!r}")
    message = str(headers.get(":error-message") or words)
    return service_error(code, message, mid_stream=True, extra=body if isinstance(body, dict) else None)


def unknown_event(kind: str, payload: bytes) -> UnknownEvent:
    """Return the event for a type that this version does not know. Its payload may be of any format, or empty."""
    if not payload:
        return UnknownEvent(kind, {})
    value = decode_any(payload)
    if isinstance(value, dict):
        value.pop("p", None)  # padding: any event may have it
    return UnknownEvent(kind, payload if value is None else value)


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
