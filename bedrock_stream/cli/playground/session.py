"""One question of the page, answered in lines: the library's events as they are, and between them what lies beneath.

round       a request begins: its route and the service's id of it
frame       a frame, before the events that it holds
...         an event, or a tool's result
measures    how fast it goes
error       the end of a talk that failed
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

__all__ = ("Question", "Say", "answer", "read_question")

_ROUNDS = 6  # requests for one question at most: on AWS each of them costs
_USE_CONVERSE = {"auto": None, "converse": True, "native": False}

Say: TypeAlias = Callable[[Any], Awaitable[None]]
"""Takes the next line, as a value."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page sends: the whole conversation, and the options beside it."""

    model: str
    messages: tuple[Message, ...]
    route: Literal["auto", "converse", "native"] = "auto"
    system: str = ""
    max_tokens: int | None = None
    reasoning: Literal["", "low", "medium", "high"] = ""
    tools: bool = False


def read_question(body: bytes) -> Question:
    """The question in a request's body. Raises `ConfigurationError`."""
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


async def answer(client: Client, question: Question, say: Say) -> None:
    """Say every line of the answer. Leaving it, by cancellation too, closes the connection to the service."""
    talk = _Talk(client, question, say)
    try:
        await talk.run()
    except BedrockStreamError as error:
        await talk.say_frames()
        await say(describe_error(error))


class _Talk:
    """The rounds of one question."""

    def __init__(self, client: Client, question: Question, say: Say) -> None:
        self._client, self._question, self._say = client, question, say
        self._frames: deque[FrameView] = deque()
        self._rounds = 0
        self._told = 0
        self._stream: Stream | None = None
        self._pulse = Meter()

    async def run(self) -> None:
        """From the first line to the last."""
        said = read_prompt(self._question.messages)
        async with ToolRun(self._start, said, TOOLS if self._question.tools else (), _ROUNDS) as run:
            async for event in run:
                await self._tell(event)
        await self.say_frames()
        await self._say(_Done(run.messages[len(said) :]))

    async def say_frames(self) -> None:
        """The frames that nobody was told of yet."""
        while self._frames:
            await self._say(self._frames.popleft())

    def _start(self, messages: tuple[Message, ...]) -> Stream:
        stream = self._client.stream(self._question.model, messages, **_options(self._question))
        self._rounds += 1
        inspect(stream, self._frames.append, self._rounds)
        self._stream, self._pulse = stream, Meter()
        return stream

    async def _tell(self, event: ToolRunEvent) -> None:
        if isinstance(event, ToolResult):  # the next round has been made ready, but nothing of it has been sent
            await self._say(event)
            return
        if self._told < self._rounds and self._stream is not None:
            self._told = self._rounds
            stream = self._stream
            await self._say(_Round(self._rounds, stream.model, stream.route, stream.request_id))
        await self.say_frames()
        waiting = self._pulse.first_content is None
        self._pulse.record(event)
        await self._say(event)
        if isinstance(event, Metadata) or (waiting and self._pulse.first_content is not None):
            await self._say(_Measures(self._pulse.first_content, self._pulse.tokens_per_second))


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
