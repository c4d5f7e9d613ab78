"""Carries out the steps of one answer on an open connection: whole, or as an event stream.

What is decided before the headers comes first; then the message goes out with the faults where the script put them.
A client that leaves cancels the task that plays, so silence costs nothing and ends at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime

import msgspec
from aiohttp import web

from .. import steps as s
from ..recording import Recording
from ..service.body import AnswerBody, BodyEnded, Ending, reset_connection
from ..service.refusal import Refusal, pascal_name, status_of
from ..service.verification import check_date
from .facts import Facts
from .frames import FrameWriter
from .rendering import Composer, Form, WireEvent

__all__ = ("EVENT_STREAM", "Exchange", "play_stream", "play_whole")

EVENT_STREAM = "application/vnd.amazon.eventstream"

_ENDINGS = {False: Ending.CLEAN, True: Ending.TORN, "chunk": Ending.TORN_CHUNK}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request being answered."""

    http: web.BaseRequest
    headers: Mapping[str, str]
    """The response headers that every answer has."""
    steps: Sequence[s.Step]
    form: Form
    facts: Facts
    frames: FrameWriter
    pace: float
    """Seconds between deltas."""
    now: datetime
    """When the request came."""


async def play_stream(exchange: Exchange) -> web.StreamResponse:
    """Answer with an event stream."""
    headers = await _open(exchange)
    if (instead := _other_body(exchange, headers)) is not None:
        return instead
    response = web.StreamResponse(
        headers={"Content-Type": EVENT_STREAM, **dict(exchange.form.stream_headers), **headers}
    )
    response.enable_chunked_encoding()
    await response.prepare(exchange.http)
    body = AnswerBody(exchange.http, response)
    composer = exchange.form.composer(exchange.steps, exchange.facts)
    try:
        for step in exchange.steps:
            if not await _disturb(step, body):
                await _send_step(step, exchange, composer, body)
        if not any(isinstance(step, s.Replay | s.Recorded) for step in exchange.steps):
            for event in composer.finish():
                await _send(event, exchange, body)
        await body.end()
    except BodyEnded:
        pass
    return response


async def play_whole(exchange: Exchange) -> web.StreamResponse:
    """Answer with one JSON document. Errors that a stream would carry become HTTP errors."""
    headers = await _open(exchange)
    if (instead := _other_body(exchange, headers)) is not None:
        return instead
    for step in exchange.steps:
        match step:
            case s.Delay() | s.Stall():
                await _pause(step.seconds)
            case s.StreamError():
                raise Refusal(status_of(step.code), pascal_name(step.code), step.message)
            case s.UnmodeledError():
                raise Refusal(500, step.code, step.message)
            case s.Recorded():
                raise Refusal(501, "ScriptError", "the script replays a recorded stream, which is no JSON document")
    recorded = [step.body for step in exchange.steps if isinstance(step, s.Replay)]
    form, facts = exchange.form, exchange.facts
    document = recorded[0] if recorded else msgspec.json.encode(form.whole(exchange.steps, facts))
    own = {"Content-Type": "application/json", **form.whole_headers(exchange.steps, facts)}
    response = web.StreamResponse(headers={**own, **headers})
    response.content_length = len(document)
    await response.prepare(exchange.http)
    body = AnswerBody(exchange.http, response)
    with suppress(BodyEnded):
        await _write_document(document, exchange.steps, body)
    return response


async def _write_document(document: bytes, steps: Sequence[s.Step], body: AnswerBody) -> None:
    for step in steps:
        if isinstance(step, s.Cut):
            # The length was promised in a header, so a body that ends early is always torn.
            body.end_inside(step.inside or 0, Ending.TORN)
        elif isinstance(step, s.Reset | s.FlipBit | s.Rechunk | s.SlowBody):
            await _disturb(step, body)
    await body.write(document)
    await body.end()


async def _open(exchange: Exchange) -> dict[str, str]:
    """What comes before the headers; returns those to send. Raises `Refusal` for a scripted HTTP error."""
    headers = dict(exchange.headers)
    for step in exchange.steps:
        match step:
            case s.HangBeforeHeaders():
                await _pause(step.seconds)
            case s.HttpError():
                raise Refusal(step.status, step.code, step.message, headers=step.headers)
            case s.ExpiredSignature():
                _check_date(exchange, step.skew_seconds)
            case s.Reset(before_headers=True):
                reset_connection(exchange.http)
                raise ConnectionResetError
            case s.Recorded(recording=recording):
                if recording.status is None:
                    reset_connection(exchange.http)
                    raise ConnectionResetError
                headers |= recording.headers
            case s.Headers():
                headers |= step.values
            case s.ContentType():
                headers["Content-Type"] = step.value
    return headers


def _other_body(exchange: Exchange, headers: dict[str, str]) -> web.Response | None:
    for step in exchange.steps:
        match step:
            case s.ContentType(body=bytes() as body, status=status):
                return web.Response(status=status, body=body, headers=headers)
            case s.Recorded(recording=Recording(status=int() as status, body=other)) if other or status != 200:
                return web.Response(status=status, body=other, headers=headers)
    return None


def _check_date(exchange: Exchange, skew: float) -> None:
    sent, clock = exchange.http.headers.get("x-amz-date"), exchange.now + timedelta(seconds=skew)
    if sent is not None:
        try:
            check_date(sent, clock)
        except Refusal as refusal:
            refusal.headers["Date"] = format_datetime(clock, usegmt=True)
            raise


async def _disturb(step: s.Step, body: AnswerBody) -> bool:
    """Carry out a fault; False where the step is none. Raises `BodyEnded` where it is the last thing to happen."""
    match step:
        case s.Delay() | s.Stall():
            await body.flush()
            await _pause(step.seconds)
        case s.FlipBit():
            body.flip_bit(step.bit)
        case s.Rechunk():
            body.rechunk(step.size)
        case s.SlowBody():
            body.slow_down(step.seconds)
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


async def _send_step(step: s.Step, exchange: Exchange, composer: Composer, body: AnswerBody) -> None:
    match step:
        case s.StreamError():
            await body.write(exchange.frames.exception(step.code, step.message, step.extra))
        case s.UnmodeledError():
            await body.write(exchange.frames.error(step.code, step.message))
        case s.RawFrame():
            await body.write(exchange.frames.raw(step.frame))
        case s.Replay():
            await body.write(step.body)
        case s.Recorded():
            await _replay(step, exchange, body)
        case _:
            for event in composer.compose(step):
                await _send(event, exchange, body)
    if isinstance(step, s.StreamError | s.UnmodeledError):
        await body.end()
        raise BodyEnded


async def _replay(step: s.Recorded, exchange: Exchange, body: AnswerBody) -> None:
    before = 0
    for recorded in step.recording.frames:
        if step.paced:
            await body.flush()
            await asyncio.sleep((recorded.ms - before) / 1000)
            before = recorded.ms
        await body.write(exchange.frames.raw(recorded.frame))
    if step.recording.cut is not None:
        await body.end(Ending.TORN)
        raise BodyEnded


async def _send(event: WireEvent, exchange: Exchange, body: AnswerBody) -> None:
    if event.is_delta:
        if exchange.pace:
            await body.flush()
        # Even without a pace the loop is visited, so that a client in the same process reads along.
        await asyncio.sleep(exchange.pace)
    await body.write(exchange.frames.event(event.name, event.payload))


async def _pause(seconds: float | None) -> None:
    """Wait; None waits until the client leaves, which cancels this task."""
    if seconds is None:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(seconds)
