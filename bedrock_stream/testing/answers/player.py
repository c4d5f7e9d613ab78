"""Playing the steps of one answer on an open connection, as an event stream or as one JSON document.

Steps that take effect before the headers are handled first, then the message is sent with the faults at their
positions. aiohttp cancels the handler's task when the client disconnects, which ends every pause at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
from aiohttp import web

from ...eventstream import encode_frame
from .. import steps as s
from ..recording import RecordedFrame, RecordedPiece, Recording
from ..service.account_quota import Admission
from ..service.body import BodyEnded, Ending, ResponseBody, pause, reset_connection
from ..service.refusal import Refusal, pascal_name, status_of
from ..service.verification import check_date
from .facts import Facts, last_metadata
from .frames import EVENT_STREAM, Writer
from .rendering import Composer, Form, WireEvent

__all__ = ("EVENT_STREAM", "Exchange", "play_as_asked", "play_document", "play_stream")

# Steps that end the body.
_LAST = (s.StreamError, s.UnmodeledError, s.TypelessError, s.ResponseFailed)
# Steps after which an answer is not whole.
_BROKEN = (s.Cut, s.Reset, *_LAST, s.GarbageChunk, s.Replay, s.Recorded)
_ENDINGS = {False: Ending.CLEAN, True: Ending.TORN, "chunk": Ending.TORN_CHUNK}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and all that is needed to answer it."""

    http: web.BaseRequest
    headers: Mapping[str, str]
    """The headers of every response, errors included."""
    steps: Sequence[s.Step]
    form: Form
    facts: Facts
    writer: Writer
    checksum: Callable[[bytes], int]
    pace: float
    """Seconds between deltas."""
    now: datetime
    """The time at which the request was received."""
    admission: Admission | None = None
    """What the request took of the account's quota; None for an operation without one."""

    def usage(self) -> Mapping[str, Any] | None:
        """Return the usage of the whole answer; None if a script broke it off."""
        if any(isinstance(step, _BROKEN) for step in self.steps):
            return None
        usage: Mapping[str, Any] = self.facts.metadata(self.steps, last_metadata(self.steps))["usage"]
        return usage


async def play_as_asked(exchange: Exchange) -> web.StreamResponse:
    """Send the answer as a stream or as one JSON document, as the request's body says."""
    return await (play_stream if exchange.form.streamed else play_document)(exchange)


async def play_stream(exchange: Exchange) -> web.StreamResponse:
    """Send the answer as a stream of events."""
    headers = await _prepare_headers(exchange)
    if (replacement := _replacement(exchange, headers)) is not None:
        return replacement
    response = web.StreamResponse(
        headers={"Content-Type": exchange.form.content_type, **dict(exchange.form.stream_headers), **headers}
    )
    # Bedrock streams with chunked encoding; the end of the HTTP body is the end of the stream.
    response.enable_chunked_encoding()
    await response.prepare(exchange.http)
    body = ResponseBody(exchange.http, response)
    composer = exchange.form.composer(exchange.steps, exchange.facts)
    try:
        for step in exchange.steps:
            if not await _apply_fault(step, body):
                await _send_step(step, exchange, composer, body)
        # A replayed body has its own end of the message.
        if not any(isinstance(step, s.Replay | s.Recorded) for step in exchange.steps):
            for event in composer.finish():
                await _send(event, exchange, body)
        await body.end()
    except BodyEnded:
        pass
    return response


async def play_document(exchange: Exchange) -> web.StreamResponse:
    """Send the answer as one JSON document. The errors that a stream has in its frames become HTTP errors."""
    headers = await _prepare_headers(exchange)
    if (replacement := _replacement(exchange, headers)) is not None:
        return replacement
    for step in exchange.steps:
        match step:
            case s.Delay() | s.Stall():
                await pause(step.seconds)
            case s.StreamError():
                raise Refusal(status_of(step.code), pascal_name(step.code), step.message)
            case s.UnmodeledError():
                raise Refusal(500, step.code, step.message)
            case s.TypelessError():
                raise Refusal(500, None, step.message)
            case s.Recorded():
                raise Refusal(
                    501,
                    "ScriptError",
                    "the script replays a recorded stream, but this operation returns a JSON document",
                )
    recorded = [step.body for step in exchange.steps if isinstance(step, s.Replay)]
    form, facts = exchange.form, exchange.facts
    document = recorded[0] if recorded else msgspec.json.encode(form.document(exchange.steps, facts))
    own = {"Content-Type": "application/json", **form.document_headers(exchange.steps, facts)}
    response = web.StreamResponse(headers={**own, **headers})
    response.content_length = len(document)
    await response.prepare(exchange.http)
    body = ResponseBody(exchange.http, response)
    with suppress(BodyEnded):
        await _write_document(document, exchange.steps, body)
    return response


async def _write_document(document: bytes, steps: Sequence[s.Step], body: ResponseBody) -> None:
    for step in steps:
        if isinstance(step, s.Cut):
            # The response has a Content-Length, so a body that ends early is always truncated.
            body.end_inside(step.inside or 0, Ending.TORN)
        elif isinstance(step, s.Reset | s.FlipBit | s.Rechunk | s.SlowBody | s.DoubleAnswer | s.Unsolicited):
            await _apply_fault(step, body)
        elif isinstance(step, s.GarbageChunk):
            middle = len(document) // 2
            document = document[:middle] + step.data + document[middle:]
    await body.write(document)
    await body.end()


async def _prepare_headers(exchange: Exchange) -> dict[str, str]:
    """Handle the steps before the headers and return the headers. Raises `Refusal` for a scripted HTTP error."""
    headers = dict(exchange.headers)
    for step in exchange.steps:
        match step:
            case s.HangBeforeHeaders():
                await pause(step.seconds)
            case s.HttpError():
                raise Refusal(step.status, step.code, step.message, headers=step.headers)
            case s.ExpiredSignature():
                _check_date(exchange, step.skew_seconds)
            case s.Reset(before_headers=True):
                reset_connection(exchange.http)
                raise ConnectionResetError
            case s.Recorded(recording=recording):
                # A recording without a status is of a request that got no response.
                if recording.status is None:
                    reset_connection(exchange.http)
                    raise ConnectionResetError
                headers |= recording.headers
            case s.Headers():
                headers |= step.values
            case s.ContentType():
                headers["Content-Type"] = step.value
    return headers


def _replacement(exchange: Exchange, headers: dict[str, str]) -> web.Response | None:
    """Return the response that replaces the answer, if any."""
    for step in exchange.steps:
        match step:
            case s.ContentType(body=bytes() as body, status=status):
                return web.Response(status=status, body=body, headers=headers)
            case s.Recorded(recording=Recording(status=int() as status, body=recorded)) if recorded or status != 200:
                return web.Response(status=status, body=recorded, headers=headers)
    return None


def _check_date(exchange: Exchange, skew: float) -> None:
    sent, server = exchange.http.headers.get("x-amz-date"), exchange.now + timedelta(seconds=skew)
    # A request with a bearer key has no date.
    if sent is not None:
        try:
            check_date(sent, server)
        except Refusal as refusal:
            # The `Date` header lets the client measure the skew.
            refusal.headers["Date"] = format_datetime(server, usegmt=True)
            raise


async def _apply_fault(step: s.Step, body: ResponseBody) -> bool:
    """Apply a fault to the body; return False for any other step. Raises `BodyEnded` if the fault ends the body."""
    match step:
        case s.Delay() | s.Stall():
            await body.flush()
            await pause(step.seconds)
        case s.FlipBit():
            body.flip_bit(step.bit)
        case s.Rechunk():
            body.rechunk(step.size)
        case s.SlowBody():
            body.slow_down(step.seconds)
        case s.LateFin():
            body.end_late(step.seconds)
        case s.GarbageChunk():
            await body.write_raw(step.data)
        case s.DoubleAnswer():
            body.answer_again(step.status, step.body)
        case s.Unsolicited():
            body.answer_again(step.status, step.body, after=step.seconds)
        case s.Cut(inside=int() as inside):
            body.end_inside(inside, _ENDINGS[step.torn])
        case s.Cut():
            await body.end(_ENDINGS[step.torn])
            raise BodyEnded
        case s.Reset(after=after) if after:
            body.end_after(after, Ending.RESET)
        case s.Reset():
            await body.end(Ending.RESET)
            raise BodyEnded
        case _:
            return False
    return True


async def _send_step(step: s.Step, exchange: Exchange, composer: Composer, body: ResponseBody) -> None:
    match step:
        case s.Replay():
            await body.write(step.body)
        case s.Recorded():
            await _replay(step, exchange, body)
        case _ if (data := exchange.writer.step(step)) is not None:
            if data:  # some steps only change what comes next
                await body.write(data)
        case _:
            for event in composer.compose(step):
                await _send(event, exchange, body)
    # An error is the last event; the body then ends cleanly.
    if isinstance(step, _LAST):
        await body.end()
        raise BodyEnded


async def _replay(step: s.Recorded, exchange: Exchange, body: ResponseBody) -> None:
    previous_ms = 0
    recording = step.recording
    received: tuple[RecordedFrame | RecordedPiece, ...] = (*recording.frames, *recording.pieces)
    for recorded in received:
        if step.paced:
            await body.flush()
            await asyncio.sleep((recorded.ms - previous_ms) / 1000)
            previous_ms = recorded.ms
        if isinstance(recorded, RecordedPiece):
            await body.write(recorded.data)
        else:
            await body.write(encode_frame(recorded.frame, crc=exchange.checksum))
    if step.recording.cut is not None:
        await body.end(Ending.TORN)
        raise BodyEnded


async def _send(event: WireEvent, exchange: Exchange, body: ResponseBody) -> None:
    if event.is_delta:
        if exchange.pace:
            await body.flush()
        # Also with a pace of 0, so that a client on the same event loop can read along.
        await asyncio.sleep(exchange.pace)
        if exchange.admission is not None:
            exchange.admission.wrote()
    await body.write(exchange.writer.event(event.name, event.payload))
