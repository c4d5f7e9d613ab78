"""The calls of a client in boto3's form. What they need is imported by the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .state import ClientState

if TYPE_CHECKING:
    from .boto import Exceptions

__all__ = ("BotoCalls",)


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
