"""Answers one question of the page in lines: the library's events, and between them the frames and the figures.

round       a request begins: its API and the service's id of it
frame       a frame, before the events that it holds
...         an event, or a tool's result
snapshot    a structured answer, as far as it was received
measures    the time to the first content, and tokens per second
error       the end of a question that failed
done        the end of any other, with the messages that join the history, and the cost if it is known
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, TypeAlias

import msgspec
from anyio import create_memory_object_stream, create_task_group

from ...client.client import Client
from ...client.stream import Stream
from ...client.tool_loop import ToolRun, ToolRunEvent
from ...errors import BedrockStreamError
from ...types.events import Metadata
from ...types.messages import Message, ToolResult, read_prompt
from ..meter import Meter
from .errors import describe_error
from .inspector import FrameView, inspect
from .question import MAX_ROUNDS, Question, with_tools
from .snapshots import EventObserver, SnapshotReader, SnapshotView
from .tools import TOOLS

__all__ = ("Send", "answer")

Send: TypeAlias = Callable[[Any], Awaitable[None]]
"""Sends the next line; it is passed a value that becomes JSON."""


class _Round(msgspec.Struct, frozen=True, tag_field="type", tag="round"):
    number: int
    model: str
    route: str
    request_id: str | None


class _Measures(msgspec.Struct, frozen=True, tag_field="type", tag="measures"):
    first_content: float | None
    tokens_per_second: float | None


class _Done(msgspec.Struct, frozen=True, tag_field="type", tag="done"):
    messages: tuple[Message, ...]
    cost: float | None
    """In US dollars: the playground has no price table of its own."""


async def answer(client: Client, question: Question, send: Send) -> None:
    """Send every line of the answer. Leaving early, by cancellation too, closes the connection to the service."""
    session = _Session(client, question, send)
    try:
        await session.run()
    except BedrockStreamError as error:
        await session.send_frames()
        await send(describe_error(error))


class _Session:
    """The rounds of one question."""

    def __init__(self, client: Client, question: Question, send: Send) -> None:
        self._client, self._question, self._send = client, question, send
        self._frames: deque[FrameView] = deque()
        self._rounds = 0
        self._announced = 0
        self._stream: Stream | None = None
        self._meter = Meter()

    async def run(self) -> None:
        """Send all lines."""
        asked = read_prompt(self._question.messages)
        if self._question.output_schema is not None:
            await self._run_structured(asked)
            return
        async with ToolRun(self._start, asked, TOOLS if self._question.tools else (), MAX_ROUNDS) as run:
            async for event in run:
                await self._send_event(event)
        await self.send_frames()
        await self._send(_Done(run.messages[len(asked) :], run.cost))

    async def _run_structured(self, asked: tuple[Message, ...]) -> None:
        """Send the events of a structured answer as they are received, and between them its snapshots."""
        sending, receiving = create_memory_object_stream[Any](inf)
        async with self._start(asked) as stream:
            stream.observe(EventObserver(sending.send_nowait))
            reader = SnapshotReader(stream, sending)
            async with receiving, create_task_group() as group:
                group.start_soon(reader.read)
                async for line in receiving:
                    await (self._send(line) if isinstance(line, SnapshotView) else self._send_event(line))
            if reader.failure is not None:
                raise reader.failure
            await self.send_frames()
            response = await stream.response()
        await self._send(_Done(response.to_history(), response.cost))

    async def send_frames(self) -> None:
        """Send the frames that were received and not sent yet."""
        while self._frames:
            await self._send(self._frames.popleft())

    def _start(self, messages: tuple[Message, ...]) -> Stream:
        stream = self._client.stream(self._question.model, messages, **with_tools(self._question))
        self._rounds += 1
        inspect(stream, self._frames.append, self._rounds)
        self._stream, self._meter = stream, Meter()
        return stream

    async def _send_event(self, event: ToolRunEvent) -> None:
        if isinstance(event, ToolResult):  # the next stream exists, but nothing of it has been sent
            await self._send(event)
            return
        if self._announced < self._rounds and self._stream is not None:
            self._announced = self._rounds
            stream = self._stream
            await self._send(_Round(self._rounds, stream.model, stream.route, stream.request_id))
        await self.send_frames()
        waiting = self._meter.first_content is None
        self._meter.record(event)
        await self._send(event)
        if isinstance(event, Metadata) or (waiting and self._meter.first_content is not None):
            await self._send(_Measures(self._meter.first_content, self._meter.tokens_per_second))
