"""The wire dialects: each writes request bodies, reads the parts of a stream, and parses complete responses.

All dialects produce the same events and the same `Response`, so consumers do not depend on the route.

A further dialect is a class with the members of `Dialect`, on one of the two bases in `base`: `BaseDialect` for an
operation of Bedrock's own, `VendorDialect` for a vendor's API. It provides:
- `route`, `operation`, `stream_operation`; `path` and `complete_body` where those of the base do not fit;
- `body`, a function that writes the conversation, `unsupported`, which says what it cannot write, and `headers`;
- `reader`, made of a `DocumentReader`, which reads one JSON document of the stream, with `ChunkReader` or `SSEReader`,
  which unwraps it: `class ChatReader(SSEReader, OpenAIReader)`. A document without a `type` may use `event_name`;
- `parse`, a function that reads the JSON of a complete response.
`request.route` chooses it; no other module needs to know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from typing import Any, Protocol

from ..errors import BedrockStreamError
from ..types.events import Event, ToolCallEnd, Usage
from ..types.messages import Message
from ..types.options import Options
from ..types.response import Response
from .base import NO_HEADERS, Headers

__all__ = ("BodyDecoder", "Dialect", "Native", "Reader")


class BodyDecoder(Protocol):
    """Incremental decoder of a stream's body, such as `eventstream.Decoder` and `sse.SSEDecoder`."""

    @property
    def error(self) -> BedrockStreamError | None:
        """The error that ended decoding; what was intact before it has been returned."""

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete part were received; 0 for none."""

    def feed(self, data: bytes, /) -> Sequence[Any]:
        """Return the parts that these bytes complete. Raises `InvalidFrame`."""

    def finish(self) -> None:
        """Take the end of the body. Raises `StreamInterrupted` inside a part."""


class Reader(Protocol):
    """Reader of the parts of one stream: event-stream frames, or server-sent events."""

    ended: bool
    """True once the message's end has been read."""
    complete: bool
    """True once nothing more is expected after the message's end."""
    has_end_marker: bool
    """False if this API does not mark the end of a message: then the end of the body is the end."""
    ignores_tail: bool
    """True if an incomplete part after the message's end is dropped; else the body is truncated."""
    broken_tool: ToolCallEnd | None
    """The first tool call whose input is not a JSON object."""
    raw_usage: Usage | None
    """The token counts so far, if the events are documents of the family's own; else None."""

    def new_decoder(self) -> BodyDecoder:
        """Return a decoder of the parts that `feed` takes."""

    def is_start(self, event: Any) -> bool:
        """Return whether an event only says that a message starts, so that the call can still be retried."""

    def take_headers(self, headers: Mapping[str, str]) -> None:
        """Take the HTTP headers of the response, before its first part."""

    def feed(self, parts: Iterable[Any], events: MutableSequence[Event], /) -> None:
        """Append the events of these parts.

        Raises `ServiceError` for an error of the service and `InvalidFrame` for a payload that does not match its API,
        after the events of the preceding parts have been appended.
        """


class Dialect(Protocol):
    """One API for talking to a model."""

    route: str
    """The name of the API, as the option `api` has it."""
    operation: str
    """The end of the path for a complete response."""
    stream_operation: str
    """The end of the path for a stream."""
    stream_type: str
    """The media type of a stream, which is asked for and expected."""

    def path(self, model: str, operation: str) -> str:
        """Return the path of an operation below the endpoint's URL."""

    def headers(self, options: Options | None, *, streaming: bool) -> Headers:
        """Return the headers that only this API has. Pass None for `options` if the body is the caller's own.

        Raises `ConfigurationError` for an option that cannot be sent in a header.
        """

    def complete_body(self, body: dict[str, Any], model: str, *, streaming: bool) -> dict[str, Any]:
        """Return a body with what depends on the model's id and on whether a stream is asked for."""

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """Return the request body before it is encoded as JSON. `extra` takes precedence over all other members."""

    def reader(self) -> Reader:
        """Return a reader for one stream."""

    def answer(
        self,
        body: bytes,
        *,
        request_id: str | None,
        model: str,
        family: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Response:
        """Parse the body of a complete response, with the HTTP headers that came with it.

        Raises `InvalidFrame` for a body that does not match the API, and `ToolInputError` as a stream does.
        """


class Native(Dialect, Protocol):
    """A model family's native format. It does not support everything that Converse supports."""

    def unsupported(self, messages: Sequence[Message], options: Options) -> str | None:
        """Return why this format does not support the request, or None if it does."""
