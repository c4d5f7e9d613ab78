"""Answers to rows whose body is the caller's own: in the model's own JSON, whether they are streamed or not.

A long answer is streamed, since a whole one that takes longer than `Timeouts.first_event` is given up though it is
paid. Its documents are put together to what the model returns at once. Formats that this library does not read are
received whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..client.attempts import Attempts
from ..client.document import DocumentStream, usage_in
from ..client.stream import RawStream
from ..dialects.payloads import decode_response
from ..dialects.whole import whole_answer
from ..errors import StreamInterrupted
from ..request.call import Call
from ..request.models import Model
from ..request.token_estimate import output_limit
from ..types.events import Usage

__all__ = ("WHOLE_TOKENS", "is_streamed", "receive_body")

WHOLE_TOKENS = 1024
"""The longest answer that is received at once, if the caller does not say otherwise."""


def is_streamed(model: Model, body: Mapping[str, Any], *, converse: bool, wanted: bool | None) -> bool:
    """Return whether the answer to a body is streamed; `wanted` is what the caller says."""
    if wanted is False or whole_answer(_format(model, converse=converse)) is None:
        return False
    most = output_limit(body)
    return wanted is True or most is None or most > WHOLE_TOKENS


async def receive_body(attempts: Attempts) -> tuple[dict[str, Any], Usage | None]:
    """Return the answer to a body, and its counts. Raises what reading a stream would."""
    if attempts.call.streaming:
        return await _receive_documents(attempts)

    def parse(call: Call, body: bytes, _request_id: str | None) -> tuple[dict[str, Any], Usage | None]:
        return decode_response(body), usage_in(call, body)

    async with DocumentStream(attempts, parse) as document:
        return await anext(document)


async def _receive_documents(attempts: Attempts) -> tuple[dict[str, Any], Usage | None]:
    call = attempts.call
    whole = whole_answer(_format(call.model, converse=call.dialect.route == "converse"))
    assert whole is not None  # noqa: S101 - else it is not streamed
    async with RawStream(attempts) as stream:
        async for document in stream:
            whole.add(document)
    if not whole.is_complete:  # a raw stream ends with its body, whatever was in it
        error = StreamInterrupted("the response ended before the message did")
        error.request_id, error.model, error.region = stream.request_id, call.model.id, call.region
        raise error
    answer = whole.answer()
    return answer, usage_in(call, msgspec.json.encode(answer))


def _format(model: Model, *, converse: bool) -> str | None:
    return "converse" if converse else model.native
