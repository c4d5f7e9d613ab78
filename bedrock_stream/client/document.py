"""Reads a response that is one JSON document: `generate`, `invoke`, `count_tokens`.

It is read by the same loop as a stream; nothing is delivered before its last byte, so it may be retried until then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..dialects.converse import Converse
from ..dialects.incoming import Document, Incoming, OnBytes
from ..dialects.payloads import decode_response
from ..errors import BedrockStreamError, InvalidFrame
from ..request.call import Call
from ..request.route import native_dialect
from ..types.events import Usage
from ..types.response import Response
from .attempts import Attempts
from .base_stream import BaseStream

__all__ = ("DocumentStream", "Parse", "receive_document", "response_parser", "token_count", "usage_in")

_T = TypeVar("_T")

Parse = Callable[[Call, bytes, str | None], _T]
"""Makes a value of a body; is passed the call and the request id as well."""


class DocumentStream(BaseStream[_T]):
    """A stream of one value: the parsed document."""

    __slots__ = ("_parse",)

    def __init__(self, attempts: Attempts, parse: Parse[_T]) -> None:
        self._parse = parse
        super().__init__(attempts)

    def _expect(self, call: Call) -> Incoming:
        return _Read(call, self._parse, self._ready, self._reporter("received"))

    def _outcome(self) -> Response | None:
        value = self._ready[0] if self._ready else None
        return value if isinstance(value, Response) else None


class _Read(Document):
    """A document that is parsed for its call, and its token counts."""

    __slots__ = ("_call",)

    def __init__(self, call: Call, parse: Parse[Any], values: list[Any], on_bytes: OnBytes | None) -> None:
        super().__init__(lambda body, request_id: parse(call, body, request_id), values, on_bytes)
        self._call = call

    @property
    def usage(self) -> Usage | None:
        """See `Incoming`. Read from the body if the value does not tell."""
        value = self._events[0] if self._events else None
        return value.usage if isinstance(value, Response) else usage_in(self._call, self.body)


def usage_in(call: Call, body: bytes) -> Usage | None:
    """Return the counts in a response in a model's own JSON; None for a family that this library does not read."""
    dialect = Converse() if call.dialect.route == "converse" else native_dialect(call.model)
    if dialect is None:
        return None
    try:
        return dialect.answer(body, request_id=None, model=call.model.id, family=call.model.family).usage
    except BedrockStreamError:
        return None


def response_parser(attempts: Attempts) -> Parse[Response]:
    """Return what makes the `Response` of a call of a body."""

    def parse(call: Call, body: bytes, request_id: str | None) -> Response:
        model = call.model
        response = call.dialect.answer(
            body, request_id=request_id, model=model.id, family=model.family, headers=attempts.headers
        )
        return attempts.finish(response)

    return parse


def token_count(call: Call, body: bytes) -> int:
    """Return the count in the answer to a call that counts tokens. Raises `ServiceError` and `InvalidFrame`."""
    member = "input_tokens" if call.dialect.route == "messages" else "inputTokens"
    count = decode_response(body).get(member)
    if type(count) is not int:
        raise InvalidFrame(f"the response has no {member}")
    return count


async def receive_document(attempts: Attempts, parse: Parse[_T]) -> _T:
    """Send, read the whole body and return what `parse` makes of it.

    Raises what reading a stream would, and what `parse` raises.
    """
    async with DocumentStream(attempts, parse) as stream:
        return await anext(stream)
