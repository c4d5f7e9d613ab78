"""Requests and answers as boto3 has them: the members of the service model as dicts, data as bytes.

On the wire the same members are JSON with data in base64. Members that the service model does not list are passed on,
in both directions; botocore refuses them in requests and drops them from answers.
Source: the Bedrock Runtime service model. Its members of type blob and document have the names below everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableSequence
from typing import Any

import msgspec

from ..errors import InvalidFrame
from ..eventstream import Frame
from . import Reader
from .base import BaseReader
from .encoding import Blob, blob
from .payloads import decode_object, decode_response, frame_error
from .raw import Raw, RawConverse

__all__ = ("BLOBS", "DOCUMENTS", "BotoConverse", "BotoInvoke", "read_answer", "to_wire")

BLOBS = frozenset({"bytes", "redactedContent"})
"""The names of members that hold data."""
DOCUMENTS = frozenset({"input", "json", "additionalModelRequestFields", "additionalModelResponseFields"})
"""The names of members that hold any JSON, whose own members mean nothing here."""


def to_wire(value: Any) -> Any:
    """Return a request's value as the JSON encoder takes it. Data may be bytes, text or a file, as for botocore."""
    if isinstance(value, Mapping):
        return {name: _member_to_wire(name, member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [to_wire(item) for item in value]
    return value


def _member_to_wire(name: str, value: Any) -> Any:
    if name in DOCUMENTS and not isinstance(value, str):
        return value
    return _data(value) if name in BLOBS else to_wire(value)


def _data(value: Any) -> bytes | Blob | Any:
    """Return data for the encoder. It refuses a value of another type, which is returned unchanged."""
    if callable(read := getattr(value, "read", None)):
        value = read()
    if isinstance(value, str):
        value = value.encode()
    return blob(bytes(value)) if isinstance(value, bytes | bytearray | memoryview) else value


def _from_wire(value: Any) -> Any:
    """Return a value of an answer with its data decoded, without the members that are null. Raises `ValueError`."""
    if type(value) is dict:
        return {
            name: _member_from_wire(name, member)
            for name, member in value.items()
            if member is not None  # botocore leaves it out, too
        }
    if type(value) is list:
        return [_from_wire(item) for item in value]
    return value


def _member_from_wire(name: str, value: Any) -> Any:
    if type(value) is str:
        return msgspec.convert(value, bytes) if name in BLOBS else value
    return value if name in DOCUMENTS else _from_wire(value)


def read_answer(body: bytes) -> dict[str, Any]:
    """Return a Converse answer. Raises `InvalidFrame` for a body without a message, `ServiceError` if it is an error.

    Botocore returns a dict without the missing members instead.
    """
    wire = decode_response(body)
    output = wire.get("output")
    if not isinstance(output, dict) or "message" not in output or "stopReason" not in wire:
        raise InvalidFrame("the response has no message with a stop reason")
    try:
        answer: dict[str, Any] = _from_wire(wire)
    except (ValueError, RecursionError) as error:
        raise InvalidFrame(f"the response does not match the API's format: {error!r}") from None
    return answer


class _InvokeReader(BaseReader):
    """Reader that passes each event on as `{name: members}`.

    Each family marks the end of its answer in its own way, so only the end of the body ends a stream here.
    """

    __slots__ = ()

    has_end_marker = False

    @staticmethod
    def is_start(event: Any) -> bool:
        """See `dialects.Reader`."""
        return "messageStart" in event

    def feed(self, frames: Iterable[Frame], events: MutableSequence[Any]) -> None:
        """See `dialects.Reader`."""
        for frame in frames:
            kind = frame.headers.get(":event-type")
            if frame.headers.get(":message-type", "event") != "event" or not isinstance(kind, str):
                raise frame_error(frame)
            wire = decode_object(frame.payload, f"the payload of a {kind} event") if frame.payload else {}
            wire.pop("p", None)  # padding: any event may have it
            try:
                members = _from_wire(wire)
            except (ValueError, RecursionError) as error:
                raise InvalidFrame(f"a {kind} event does not match the API's format: {error!r}") from None
            self.follow(kind, members)
            events.append({kind: members})

    def follow(self, kind: str, members: dict[str, Any]) -> None:
        """Take the meaning of an event. Raises `InvalidFrame` for one that has none."""
        if kind == "chunk" and not isinstance(members.get("bytes"), bytes):
            raise InvalidFrame("a chunk has no `bytes` in base64")


class _ConverseReader(_InvokeReader):
    """The same for ConverseStream, whose messages have a start and an end."""

    __slots__ = ()

    has_end_marker = True

    def follow(self, kind: str, members: dict[str, Any]) -> None:
        """See `_InvokeReader`."""
        if kind == "metadata":  # it follows the end
            self.complete = self.ended
            return
        self.check_open(f"a {kind} event")
        if kind == "messageStart":
            self.start_message(str(members.get("role")), [])
        elif kind == "messageStop":
            if not isinstance(members.get("stopReason"), str):
                raise InvalidFrame("a messageStop event has no stop reason")
            self.ended = True


class BotoConverse(RawConverse):
    """The dialect of `converse` and `converse_stream`."""

    def reader(self) -> Reader:
        """See `dialects.Dialect`."""
        return _ConverseReader()


class BotoInvoke(Raw):
    """The dialect of `invoke_model` and `invoke_model_with_response_stream`."""

    def reader(self) -> Reader:
        """See `dialects.Dialect`."""
        return _InvokeReader()
