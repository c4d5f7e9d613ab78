"""Answers one question of the page in lines: the library's events, and between them the frames and the figures.

round       a request begins: its API and the service's id of it
frame       a frame, before the events that it holds
...         an event, or a tool's result
measures    the time to the first content, and tokens per second
error       the end of a question that failed
done        the end of any other, with the messages that join the history
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import msgspec

from ...client.client import Client
from ...client.stream import Stream
from ...client.tool_loop import ToolRun, ToolRunEvent
from ...errors import BedrockStreamError, ConfigurationError
from ...types.events import Metadata
from ...types.messages import Message, ToolResult, read_prompt
from ...types.options import CallOptions
from ..meter import Meter
from .errors import describe_error
from .inspector import FrameView, inspect
from .tools import TOOLS

__all__ = ("Question", "Send", "answer", "read_question")

_ROUNDS = 6  # the limit of requests for one question: on AWS each costs money
_USE_CONVERSE = {"auto": None, "converse": True, "native": False}

Send: TypeAlias = Callable[[Any], Awaitable[None]]
"""Sends the next line; it is passed a value that becomes JSON."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request of the page: the whole conversation, and its options."""

    model: str
    messages: tuple[Message, ...]
    route: Literal["auto", "converse", "native"] = "auto"
    system: str = ""
    max_tokens: int | None = None
    reasoning: Literal["", "low", "medium", "high"] = ""
    tools: bool = False


def read_question(body: bytes) -> Question:
    """Parse the question in a request's body. Raises `ConfigurationError`."""
    try:
        return msgspec.json.decode(body, type=Question)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError("question", str(error), "reload the page") from None


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
        async with ToolRun(self._start, asked, TOOLS if self._question.tools else (), _ROUNDS) as run:
            async for event in run:
                await self._send_event(event)
        await self.send_frames()
        await self._send(_Done(run.messages[len(asked) :]))

    async def send_frames(self) -> None:
        """Send the frames that were received and not sent yet."""
        while self._frames:
            await self._send(self._frames.popleft())

    def _start(self, messages: tuple[Message, ...]) -> Stream:
        stream = self._client.stream(self._question.model, messages, **_options(self._question))
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


def _options(question: Question) -> CallOptions:
    options: CallOptions = {}
    if (use_converse := _USE_CONVERSE[question.route]) is not None:
        options["use_converse"] = use_converse
    if question.system.strip():
        options["system"] = question.system
    if question.max_tokens is not None:
        options["max_tokens"] = question.max_tokens
    if question.reasoning:
        options["reasoning"] = question.reasoning
    if question.tools:
        options["tools"] = TOOLS
    return options
