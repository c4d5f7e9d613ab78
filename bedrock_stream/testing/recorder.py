"""Records a stream while its caller reads it. The recorder is an observer: it receives frames and headers, no secret.

A stream that is not recorded pays nothing. Requests are signed elsewhere, so credentials never reach the recorder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from time import monotonic
from types import TracebackType
from typing import Any, Generic, TypeVar

import msgspec

from ..client.base_stream import BaseStream
from ..errors import BedrockStreamError, NotAnEventStream, ServiceError, ToolInputError
from ..eventstream import Frame
from ..observing import Attempt, Ending, Subject
from ..types.events import Event
from .recording import RecordedFrame, RecordedPiece, Recording, write_recording
from .service.operations import name_of

__all__ = ("record",)

_S = TypeVar("_S", bound=BaseStream[Any])

# Headers that describe the response and hold no identity.
_HEADERS = (
    "Content-Type",
    "x-amzn-RequestId",
    "x-request-id",
    "X-Amzn-Bedrock-Content-Type",
    "X-Amzn-Bedrock-PerformanceConfig-Latency",
    "X-Amzn-Bedrock-Service-Tier",
)

_SSE = "text/event-stream"
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r){2}")  # the end of an event


def record(stream: _S, path: str | PathLike[str]) -> _Recorder[_S]:
    """Record a stream in a `.jsonl` file that `replay` plays and people can read.

        async with record(client.stream(model, prompt), "answer.jsonl") as stream:
            async for event in stream:
                ...

    Any stream can be recorded before anything is sent. The file is written on leaving, also after an error: a response
    that broke off, or was left early, is recorded as one that breaks off there, and an error in place of a response as
    that error. Credentials and signatures are not in it, and account ids are masked. The prompt and the response are in
    it, so only its owner can read it (mode 0600); check it before you publish it. Raises `ConfigurationError` for a
    stream that has begun, `OSError` if the file cannot be written.
    """
    return _Recorder(stream, path)


class _Recorder(Generic[_S]):
    """The context manager that `record` returns."""

    def __init__(self, stream: _S, path: str | PathLike[str]) -> None:
        self._stream = stream
        self._path = path
        self._notes = _Notes()
        stream.observe(self._notes)

    async def __aenter__(self) -> _S:
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stream.aclose()
        write_recording(self._notes.recording(), self._path)


class _Notes:
    """Observes one call: the last response's head and frames, and how the call ended."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._subject: Subject | None = None
        self._head: tuple[int, dict[str, str]] | None = None
        self._frames: list[RecordedFrame] = []
        self._pieces: list[RecordedPiece] = []
        self._is_sse = False
        self._rest = bytearray()  # the beginning of an event of a body without frames
        self._ending: Ending | None = None

    def watch(self, subject: Subject) -> _Notes:
        """See `observing.Observer`; it observes this call itself."""
        self._subject = subject
        return self

    def began(self) -> None:
        """See `observing.Observation`."""

    def first(self, attempt: Attempt) -> None:
        """See `observing.Observation`."""

    def came(self, events: Iterable[Event]) -> None:
        """See `observing.Observation`."""

    def failed(self, attempt: Attempt) -> None:
        """Forget the response of an attempt that was given up."""
        self._head = None
        self._forget_body()

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the response that is received now."""
        self._forget_body()
        self._is_sse = headers.get("Content-Type", "").lower().startswith(_SSE)
        self._head = status, {name: value for name in _HEADERS if (value := headers.get(name)) is not None}

    def received(self, data: bytes) -> None:
        """Note bytes of a body without frames, up to the end of an event."""
        if not self._is_sse:
            return
        self._rest += data
        ends = [match.end() for match in _BLANK_LINE.finditer(self._rest)]
        if ends:
            self._pieces.append(RecordedPiece(self._milliseconds(), bytes(self._rest[: ends[-1]])))
            del self._rest[: ends[-1]]

    def frames(self, frames: Sequence[Frame]) -> None:
        """Note frames and the time they were received at."""
        milliseconds = self._milliseconds()
        self._frames += [RecordedFrame(milliseconds, frame) for frame in frames]

    def ended(self, ending: Ending) -> None:
        """Note the end of the call."""
        self._ending = ending
        if self._rest:
            self._pieces.append(RecordedPiece(self._milliseconds(), bytes(self._rest)))
            self._rest.clear()

    def _forget_body(self) -> None:
        self._frames.clear()
        self._pieces.clear()
        self._rest.clear()

    def _milliseconds(self) -> int:
        return round((monotonic() - self._began) * 1000)

    def recording(self) -> Recording:
        """Return what was recorded."""
        failure, request = self._failure(), self._request()
        if self._head is not None:
            status, headers = self._head
            # After these two errors the body had ended properly.
            ended = failure is None or isinstance(failure, ToolInputError | ServiceError)
            cut = None if ended else _text(failure)
            return Recording(request, status, headers, None, tuple(self._frames), cut, tuple(self._pieces))
        request_id = None if failure is None else failure.request_id
        named = {} if request_id is None else {"x-amzn-RequestId": request_id}
        match failure:
            case ServiceError():
                headers = {"Content-Type": "application/json", "x-amzn-ErrorType": failure.code}
                body = msgspec.json.encode({"message": failure.message})
                return Recording(request, failure.status, headers | named, body)
            case NotAnEventStream():
                headers = {} if failure.content_type is None else {"Content-Type": failure.content_type}
                return Recording(request, failure.status, headers | named, failure.body)
        return Recording(request, cut=_text(failure))

    def _failure(self) -> BedrockStreamError | None:
        """Return what kept the response from its end. A caller that left early, or never sent, counts as that."""
        ending = self._ending
        if ending is None or ending.way == "closed":
            return BedrockStreamError("the caller left")
        return ending.error if isinstance(ending.error, BedrockStreamError) else None

    def _request(self) -> dict[str, Any]:
        subject = self._subject
        assert subject is not None  # noqa: S101 - set as soon as the stream is observed
        return {
            "operation": name_of(subject.operation),
            "model": subject.model,
            "region": subject.target.region,
            "body": msgspec.json.decode(subject.body()),
        }


def _text(failure: BedrockStreamError | None) -> str:
    return f"{type(failure).__name__}: {failure}"
