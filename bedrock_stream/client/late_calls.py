"""The calls of a client whose code is imported by the first of them: those in boto3's form, and batches."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Unpack

from ..types.call_options import CallOptions
from .state import ClientState
from .stream import Stream

if TYPE_CHECKING:
    from ..batch.batch import Batch, Journal, Stop
    from ..transport.quota import QuotaLike
    from .boto import Exceptions

__all__ = ("BatchCalls", "BotoCalls")


class BatchCalls:
    """What a client does with many prompts."""

    def _plans(self, options: Any) -> tuple[Any, Any, Any]:
        """Return what plans calls, the validated options, and the arguments; see `batch.asking`."""
        raise NotImplementedError

    def map(
        self,
        model: str,
        prompts: Iterable[Any] | AsyncIterable[Any],
        *,
        concurrency: int = 256,
        ordered: bool = False,
        journal: Journal | str | os.PathLike[str] | None = None,
        quota: QuotaLike | None = None,
        stop: Stop | None = None,
        patience: float = 3600.0,
        each: Callable[[Stream], Awaitable[Any]] | None = None,
        stream: bool | None = None,
        dedupe: bool = False,
        **options: Unpack[CallOptions],
    ) -> Batch:
        """Ask many prompts with bounded concurrency. Return a `Batch`: an async iterator of `Row`, as they end.

        `prompts`: an (async) iterable of what `generate` takes, or of `Ask`; read no earlier than needed. `ordered`:
        hand the rows out in the order of the prompts. `journal`: a `Journal` or a path, for a batch that can be run
        again after a crash. `quota`: a `Quota` that its calls wait for, beside those of the client. `stop`: ceilings.
        `patience`: seconds without any success after which throttling ends the batch; until then it is waited out.
        `each`: an async function that reads the row's `Stream` and returns its value. `stream`: whether rows are
        streamed; left out, those with `max_tokens` up to 1024 are not. `dedupe`: ask equal rows once, whatever their
        keys. A row is retried `retry.max_attempts` times. Raises `ConfigurationError`.
        """
        from ..batch.batch import start_batch

        calls, read, arguments = self._plans(options)
        return start_batch(
            calls,
            model,
            prompts,
            read,
            arguments,
            concurrency=concurrency,
            ordered=ordered,
            journal=journal,
            quota=quota,
            stop=stop,
            patience=patience,
            each=each,
            stream=stream,
            dedupe=dedupe,
        )


class BotoCalls:
    """The calls that frameworks make to an async client of aiobotocore."""

    _state: ClientState

    async def converse_stream(self, **arguments: Any) -> dict[str, Any]:
        """Stream an answer in boto3's form: its keyword arguments, and `{"stream": ..., "ResponseMetadata": ...}`.

        For frameworks that take an async client of aiobotocore. The stream is read with `async for` and yields
        Converse's events as dicts, with unknown members; see `client.boto`. Of the client's settings all apply but
        `models`, `unsupported` and `prices`. Raises what `stream` does; a `ServiceError` also has
        `response["Error"]["Code"]`, and is a `ClientError` where botocore is imported.
        """
        from . import boto

        return await boto.converse_stream(self._state, arguments)

    async def converse(self, **arguments: Any) -> dict[str, Any]:
        """Return a whole answer in boto3's form. Raises as `converse_stream` does."""
        from . import boto

        return await boto.converse(self._state, arguments)

    async def invoke_model(self, **arguments: Any) -> dict[str, Any]:
        """Return any model's answer in boto3's form: `await answer["body"].read()` has its bytes."""
        from . import boto

        return await boto.invoke(self._state, arguments)

    async def invoke_model_with_response_stream(self, **arguments: Any) -> dict[str, Any]:
        """Stream any model's answer in boto3's form: `answer["body"]` yields `{"chunk": {"bytes": ...}}`."""
        from . import boto

        return await boto.invoke_stream(self._state, arguments)

    @property
    def exceptions(self) -> Exceptions:
        """The classes of service errors by boto3's names, `client.exceptions.ThrottlingException` for one."""
        from .boto import Exceptions

        return Exceptions()
