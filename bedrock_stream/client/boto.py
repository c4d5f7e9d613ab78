"""Calls in boto3's form: keyword arguments and answers as aiobotocore has them, on this library's transport.

A stream is read by `BaseStream`, so it is retried before its first content, keeps the time limits, and raises for an
answer that was cut off. Service errors have boto3's attributes too; see `errors.boto`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

from ..dialects.boto import read_answer
from ..dialects.payloads import document_failure
from ..errors import ConfigurationError, ServiceError, service_error
from ..errors.boto import boto_error
from ..request.boto import plan_converse, plan_invoke
from ..types.options import Options
from ..types.settings import Target
from .attempts import Attempts
from .base_stream import BaseStream
from .document import Parse, receive_document
from .state import ClientState

__all__ = ("BotoBody", "BotoStream", "Exceptions", "converse", "converse_stream", "invoke", "invoke_stream")

_OPTIONS = Options()
_MAX_ERROR = 64 * 1024  # bytes; a larger body is not an error that came with HTTP 200
# Members of an answer to InvokeModel that are headers.
_HEADERS = {
    "performanceConfigLatency": "X-Amzn-Bedrock-PerformanceConfig-Latency",
    "serviceTier": "X-Amzn-Bedrock-Service-Tier",
}


class BotoStream(BaseStream[dict[str, Any]]):
    """The events of an answer as `{name: members}`; read it with `async for`.

    `close()` frees the connection at once, as does dropping the last reference. See `BaseStream` for what it raises.
    """

    __slots__ = ("_operation",)

    def __init__(self, attempts: Attempts, operation: str) -> None:
        self._operation = operation
        super().__init__(attempts)

    def close(self) -> None:
        """Close the connection at once. Closing twice is fine."""
        self._close()

    def __del__(self) -> None:
        # A framework that drops streams cannot be told by a warning: its user has no way to change that.
        self._attempts.ended("dropped")

    async def _receive(self) -> None:
        try:
            await super()._receive()
        except ServiceError as error:
            raise boto_error(error, self._operation, _metadata(self._attempts)) from None


class BotoBody:
    """A whole body, to be read as a stream. It has been received completely."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    async def read(self, amt: int | None = None) -> bytes:
        """Return the next `amt` bytes, or what is left."""
        end = None if amt is None or amt < 0 else self._position + amt
        part = self._data[self._position : end]
        self._position += len(part)
        return part

    async def iter_chunks(self, chunk_size: int = 1024) -> AsyncIterator[bytes]:
        """Yield what is left in parts of this size."""
        while part := await self.read(chunk_size):
            yield part

    async def iter_lines(self, chunk_size: int = 1024, keepends: bool = False) -> AsyncIterator[bytes]:
        """Yield what is left in lines."""
        for line in (await self.read()).splitlines(keepends):
            yield line

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.iter_chunks()

    def close(self) -> None:
        """Do nothing: no connection is held."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Exceptions:
    """The classes of service errors by boto3's names: `client.exceptions.ThrottlingException` is `errors.Throttled`."""

    ClientError: type[ServiceError] = ServiceError

    def __getattr__(self, name: str) -> type[ServiceError]:
        kind = type(service_error(name, ""))
        if kind is ServiceError:
            raise AttributeError(f"{name} is not an exception of the service")
        return kind


async def converse_stream(state: ClientState, arguments: dict[str, Any]) -> dict[str, Any]:
    """Send a ConverseStream request, and return once the headers of its answer are here."""
    stream = BotoStream(_converse_attempts(state, arguments, streaming=True), "ConverseStream")
    await stream.open()
    return {"ResponseMetadata": _metadata(stream._attempts), "stream": stream}


async def converse(state: ClientState, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a Converse request."""
    attempts = _converse_attempts(state, arguments, streaming=False)
    return await _document(
        attempts, "Converse", lambda _call, body, _id: {"ResponseMetadata": _metadata(attempts), **read_answer(body)}
    )


async def invoke_stream(state: ClientState, arguments: dict[str, Any]) -> dict[str, Any]:
    """Send an InvokeModelWithResponseStream request, and return once the headers of its answer are here."""
    stream = BotoStream(_invoke_attempts(state, arguments, streaming=True), "InvokeModelWithResponseStream")
    await stream.open()
    answer = {"ResponseMetadata": _metadata(stream._attempts), "body": stream}
    return answer | _members(stream._attempts.headers, "X-Amzn-Bedrock-Content-Type")


async def invoke(state: ClientState, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to an InvokeModel request, its body in memory."""
    attempts = _invoke_attempts(state, arguments, streaming=False)

    def parse(_call: Any, body: bytes, _id: str | None) -> dict[str, Any]:
        if len(body) < _MAX_ERROR and (error := document_failure(body)) is not None:
            raise error
        answer = {"ResponseMetadata": _metadata(attempts), "body": BotoBody(body)}
        return answer | _members(attempts.headers, "Content-Type")

    return await _document(attempts, "InvokeModel", parse)


async def _document(attempts: Attempts, operation: str, parse: Parse[dict[str, Any]]) -> dict[str, Any]:
    try:
        return await receive_document(attempts, parse)
    except ServiceError as error:
        raise boto_error(error, operation, _metadata(attempts)) from None


def _converse_attempts(state: ClientState, arguments: dict[str, Any], *, streaming: bool) -> Attempts:
    calls = [plan_converse(arguments, state.destination(_OPTIONS), streaming=streaming)]
    for index, target in enumerate(state.settings.failover):
        _check_target(index, target)
        there = state.destination(_OPTIONS, target)
        calls.append(plan_converse(arguments, there, streaming=streaming, model=target.model))
    return Attempts(state, calls)


def _check_target(index: int, target: Target) -> None:
    if target.options:
        problem = "do not apply to a call in boto3's form"
        raise ConfigurationError(f"failover[{index}].options", problem, "use another client for these calls")


def _invoke_attempts(state: ClientState, arguments: dict[str, Any], *, streaming: bool) -> Attempts:
    return Attempts(state, [plan_invoke(arguments, state.destination(_OPTIONS), streaming=streaming)])


def _metadata(attempts: Attempts) -> dict[str, Any]:
    """Return the `ResponseMetadata` of the last response."""
    return {
        "RequestId": attempts.request_id,
        "HTTPStatusCode": 200,
        "HTTPHeaders": {name.lower(): value for name, value in attempts.headers.items()},
        "RetryAttempts": max(0, len(attempts.history()) - 1),
    }


def _members(headers: Mapping[str, str], content_type: str) -> dict[str, str]:
    """Return the members of an answer that its headers hold."""
    found = {name: headers.get(header) for name, header in {"contentType": content_type, **_HEADERS}.items()}
    return {name: value for name, value in found.items() if value is not None}
