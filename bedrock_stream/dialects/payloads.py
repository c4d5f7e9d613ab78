"""What every dialect does with bytes before their own meaning begins: JSON objects, exceptions, broken answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from ..errors import BedrockStreamError, InvalidFrame, service_error
from ..eventstream import Frame

__all__ = ("answer_as_described", "decode_object", "failure")


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
