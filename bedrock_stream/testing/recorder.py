"""Writes down a stream while its caller reads it.

Every frame of every route passes through one place, the dialect's reader, so that is where it is looked at: a stream
that nobody records pays nothing, and what proves who asked never comes by, since signing happens elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from os import PathLike
from time import monotonic
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

import msgspec

from ..client.stream import BaseStream
from ..dialects import Dialect, Reader
from ..errors import BedrockStreamError, ConfigurationError, NotAnEventStream, ServiceError, ToolInputError
from ..eventstream import Frame
from ..types.events import Event
from ..types.messages import Message
from ..types.options import Options
from ..types.response import Response
from .recording import RecordedFrame, Recording, write_recording
from .service.operations import find_operation

__all__ = ("record",)

_S = TypeVar("_S", bound=BaseStream[Any])

# What tells of the answer and of nobody's identity.
_HEADERS = (
    "Content-Type",
    "x-amzn-RequestId",
    "X-Amzn-Bedrock-Content-Type",
    "X-Amzn-Bedrock-PerformanceConfig-Latency",
    "X-Amzn-Bedrock-Service-Tier",
)


def record(stream: _S, path: str | PathLike[str]) -> _Recorder[_S]:
    """Write a stream to a `.jsonl` file that `replay` plays and people read; any stream, before anything was sent.

        async with record(client.stream(model, prompt), "answer.jsonl") as stream:
            async for event in stream:
                ...

    The file is written on leaving, whatever the way out: an answer that broke off, or was left early, is recorded as
    one that breaks off there, and an error in place of an answer as that error. Keys, tokens and signatures are not in
    it, account ids are masked; prompt and answer are, so look before you publish. Raises `ConfigurationError` for a
    stream that has begun, `OSError` where the file cannot be written.
    """
    return _Recorder(stream, path)


class _Recorder(Generic[_S]):
    """What `async with record(...)` enters."""

    def __init__(self, stream: _S, path: str | PathLike[str]) -> None:
        if stream._answer is not None or stream._failure is not None:
            raise ConfigurationError("stream", "it has begun", "record it before anything is awaited on it")
        self._stream = stream
        self._path = path

    async def __aenter__(self) -> _S:
        stream = self._stream
        stream._attempts.change(lambda call: msgspec.structs.replace(call, dialect=_TappedDialect(call.dialect)))
        stream._begin(stream._attempts.call)
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failure = self._failure()
        await self._stream.aclose()
        write_recording(self._recording(failure), self._path)

    def _failure(self) -> BedrockStreamError | None:
        """What kept the answer from its end; a caller that leaves early counts as that."""
        stream = self._stream
        if stream._failure is None and not stream._finished:
            return BedrockStreamError("the caller left")
        return stream._failure

    def _recording(self, failure: BedrockStreamError | None) -> Recording:
        request = _request_of(self._stream)
        answer, tap = self._stream._answer, cast("_TappedDialect", self._stream._call.dialect)
        frames = tuple(tap.frames)
        if answer is not None:
            headers = {name: value for name in _HEADERS if (value := answer.header(name)) is not None}
            # These two end a body that is whole.
            ended = failure is None or isinstance(failure, ToolInputError | ServiceError)
            cut = None if ended else _words(failure)
            return Recording(request, answer.status, headers, None, frames, cut)
        named = {} if failure is None or failure.request_id is None else {"x-amzn-RequestId": failure.request_id}
        match failure:
            case ServiceError():
                headers = {"Content-Type": "application/json", "x-amzn-ErrorType": failure.code}
                body = msgspec.json.encode({"message": failure.message})
                return Recording(request, failure.status, headers | named, body)
            case NotAnEventStream():
                headers = {} if failure.content_type is None else {"Content-Type": failure.content_type}
                return Recording(request, failure.status, headers | named, failure.body)
        return Recording(request, cut=_words(failure))


def _words(failure: BedrockStreamError | None) -> str:
    return f"{type(failure).__name__}: {failure}"


def _request_of(stream: BaseStream[Any]) -> dict[str, Any]:
    call = stream._call
    found = find_operation("POST", "/" + "/".join(call.request.url.split("/")[-3:]))
    return {
        "operation": found[0].name if found else None,
        "model": call.model,
        "region": call.region,
        "body": msgspec.json.decode(call.request.body.data),
    }


class _TappedDialect:
    """A dialect whose readers are looked at."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._began = monotonic()
        self.route = dialect.route
        self.operation = dialect.operation
        self.stream_operation = dialect.stream_operation
        self.frames: list[RecordedFrame] = []

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        return self._dialect.body(messages, options)

    def answer(self, body: bytes, *, request_id: str | None, model: str) -> Response:
        return self._dialect.answer(body, request_id=request_id, model=model)

    def reader(self) -> Reader:
        self.frames.clear()  # of an attempt that was given up
        return cast("Reader", _TappedReader(self._dialect.reader(), self))

    def note(self, frame: Frame) -> None:
        self.frames.append(RecordedFrame(round((monotonic() - self._began) * 1000), frame))


class _TappedReader:
    """A reader that notes what it reads; in all else the reader behind it."""

    def __init__(self, reader: Reader, tap: _TappedDialect) -> None:
        self._reader = reader
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def feed(self, frames: Iterable[Frame], events: deque[Event]) -> None:
        frames = list(frames)
        for frame in frames:
            self._tap.note(frame)
        self._reader.feed(frames, events)
