"""Reads a response that is one JSON document: `generate`, `invoke`, `count_tokens`.

It is read by the same loop as a stream; nothing is delivered before its last byte, so it may be retried until then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..dialects.incoming import Document, Incoming
from ..request.call import Call
from ..types.response import Response
from .attempts import Attempts
from .base_stream import BaseStream

__all__ = ("DocumentStream", "Parse", "receive_document", "response_parser")

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
        parse = self._parse
        return Document(lambda body, request_id: parse(call, body, request_id), self._ready, self._reporter("received"))

    def _outcome(self) -> Response | None:
        value = self._ready[0] if self._ready else None
        return value if isinstance(value, Response) else None


def response_parser(attempts: Attempts) -> Parse[Response]:
    """Return what makes the `Response` of a call of a body."""

    def parse(call: Call, body: bytes, request_id: str | None) -> Response:
        model = call.model
        response = call.dialect.answer(
            body, request_id=request_id, model=model.id, family=model.family, headers=attempts.headers
        )
        return attempts.finish(response)

    return parse


async def receive_document(attempts: Attempts, parse: Parse[_T]) -> _T:
    """Send, read the whole body and return what `parse` makes of it.

    Raises what reading a stream would, and what `parse` raises.
    """
    async with DocumentStream(attempts, parse) as stream:
        return await anext(stream)
