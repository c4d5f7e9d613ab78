"""The parts that all dialects share: operations, the steps from a response body to a `Response`, a reader's state.

`BaseDialect` is that of Bedrock's own operations: `/model/{model}/{operation}`, answered in event-stream frames.
`VendorDialect` is that of a vendor's own API: one path for all models, answered in server-sent events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from urllib.parse import quote

from ..errors import InvalidFrame
from ..eventstream import Decoder, HeaderValue
from ..types.events import Event, MessageStart, MessageStop, Metadata, ToolCallEnd, Usage
from ..types.messages import Block, Message
from ..types.options import Options
from ..types.response import Response, whole_response
from .native import native_headers
from .payloads import decode_response, raise_if_failed
from .tool_input import ToolInputs

if TYPE_CHECKING:
    from . import BodyDecoder

__all__ = (
    "EVENT_STREAM",
    "JSON",
    "NO_HEADERS",
    "SERVER_SENT_EVENTS",
    "BaseDialect",
    "BaseReader",
    "Headers",
    "Parse",
    "ParsedResponse",
    "Unsupported",
    "VendorDialect",
    "WriteBody",
    "header_metadata",
)

ParsedResponse: TypeAlias = tuple[list[Block | ToolCallEnd], MessageStop, Metadata]
"""The content of a response, with a `ToolCallEnd` for each call whose input is not a JSON object, its stop, and its
metadata."""

# The forms of the functions that a dialect consists of.
Unsupported: TypeAlias = "staticmethod[[Sequence[Message], Options], str | None]"
WriteBody: TypeAlias = "staticmethod[[Sequence[Message], Options], dict[str, Any]]"
Parse: TypeAlias = "staticmethod[[dict[str, Any]], ParsedResponse]"

JSON = "application/json"
EVENT_STREAM = "application/vnd.amazon.eventstream"
SERVER_SENT_EVENTS = "text/event-stream"

Headers: TypeAlias = tuple[tuple[str, str], ...]

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def header_metadata(headers: Mapping[str, str]) -> Metadata:
    """Return what the headers of InvokeModel tell about a response; Converse has the same facts in the body.

    Source: InvokeModelResponse and InvokeModelWithResponseStreamResponse in the Bedrock Runtime service model.
    """
    return Metadata(
        performance=headers.get("X-Amzn-Bedrock-PerformanceConfig-Latency"),
        service_tier=headers.get("X-Amzn-Bedrock-Service-Tier"),
    )


class BaseDialect:
    """Base of the dialects, with the operations of the native formats.

    A subclass sets `body`, `reader` and `parse`. One for a native format also sets `unsupported`.
    """

    route = "invoke"
    operation = "invoke"
    stream_operation = "invoke-with-response-stream"
    stream_type = EVENT_STREAM
    parse: ClassVar[Parse]
    """Parses the JSON object of a response. May raise what `answer` converts to `InvalidFrame`."""

    def path(self, model: str, operation: str) -> str:
        """See `Dialect.path`."""
        return _model_path(model, operation)

    def headers(self, options: Options | None, *, streaming: bool) -> Headers:
        """See `Dialect.headers`: those of InvokeModel. Raises `ConfigurationError`."""
        headers = () if options is None else native_headers(options)
        # `Accept` is the format of the frames, and this is the format of the model's documents in them.
        return (*headers, ("X-Amzn-Bedrock-Accept", JSON)) if streaming else headers

    def complete_body(self, body: dict[str, Any], model: str, *, streaming: bool) -> dict[str, Any]:
        """See `Dialect.complete_body`: the path has both."""
        return body

    def answer(
        self,
        body: bytes,
        *,
        request_id: str | None,
        model: str,
        family: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Response:
        """See `Dialect.answer`."""
        wire = decode_response(body)
        try:
            blocks, stop, metadata = self.parse(wire)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise_if_failed(wire)
            raise InvalidFrame(f"the response does not match the API's format: {error!r}") from None
        metadata = header_metadata(headers).merged(metadata)
        return whole_response(
            blocks, stop, metadata, request_id=request_id, model=model, route=self.route, family=family
        )


@lru_cache(maxsize=256)  # a program calls a few models
def _model_path(model: str, operation: str) -> str:
    # The model id is one path segment, percent-encoded once here (`:` to `%3A`, `/` to `%2F`).
    return f"/model/{quote(model, safe='')}/{operation}"


class VendorDialect(BaseDialect):
    """Base of the dialects of a vendor's own API, whose operation is a path below a prefix.

    A subclass sets `route`, `operation`, `stream_operation` (usually the same), `headers`, and what `BaseDialect` asks
    for. Its reader is an `SSEReader`.
    """

    stream_type = SERVER_SENT_EVENTS

    def __init__(self, prefix: str) -> None:
        self.prefix: str = prefix
        """The start of the path, such as `/openai/v1`; it depends on the endpoint and on the model."""

    def path(self, model: str, operation: str) -> str:
        """See `Dialect.path`."""
        return f"{self.prefix}/{operation}"

    def headers(self, options: Options | None, *, streaming: bool) -> Headers:
        """See `Dialect.headers`: none."""
        return ()

    def complete_body(self, body: dict[str, Any], model: str, *, streaming: bool) -> dict[str, Any]:
        """See `Dialect.complete_body`. A member `model` of the caller's `extra` takes precedence."""
        return {"model": model, **body, "stream": True} if streaming else {"model": model, **body}


class BaseReader(ToolInputs):
    """State of a reader, and the check whether a frame holds the event that makes up most of a stream."""

    __slots__ = ("_frequent_headers", "_message_started", "complete", "ended")

    new_decoder: ClassVar[Callable[[], BodyDecoder]] = staticmethod(Decoder)
    ignores_tail = False
    has_end_marker = True
    frequent_event: ClassVar[str]
    """The `:event-type` of the frames that are decoded directly to a struct."""
    raw_usage: Usage | None = None

    def __init__(self) -> None:
        super().__init__()
        self._message_started = False
        self._frequent_headers: Mapping[str, HeaderValue] | None = None
        self.ended: bool = False
        self.complete: bool = False

    @staticmethod
    def is_start(event: Any) -> bool:
        """See `dialects.Reader`."""
        return type(event) is MessageStart

    def take_headers(self, headers: Mapping[str, str]) -> None:
        """See `dialects.Reader`. Converse repeats in the body what its headers tell."""

    def start_message(self, role: str, events: MutableSequence[Event]) -> None:
        """Append the start of the message. Raises `InvalidFrame` for a second one: a body holds one message."""
        if self._message_started:
            raise InvalidFrame("a second message starts in the same response")
        self._message_started = True
        events.append(MessageStart(role))

    def check_open(self, what: str) -> None:
        """Raise `InvalidFrame` if the message has ended: a second one must not become a part of it."""
        if self.ended:
            raise InvalidFrame(f"{what} follows the end of the message")

    def _is_frequent(self, headers: Mapping[str, HeaderValue]) -> bool:
        """Return whether these are the headers of `frequent_event`; remember them if so.

        Bedrock sends the same headers in the same order with each event of a type, and the decoder returns the same
        object for equal header bytes. So readers compare by identity and call this once per header block.
        """
        if headers.get(":event-type") != self.frequent_event or headers.get(":message-type", "event") != "event":
            return False
        self._frequent_headers = headers
        return True
