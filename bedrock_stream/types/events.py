"""Events of a stream, the same for every route and dialect.

Events are frozen msgspec structs tagged by `type`, so `msgspec.json.encode(event)` is what an SSE endpoint sends.
`index` is the position of a content block in the message. Blocks may interleave, and text and reasoning blocks have no
start event: their first delta opens them. `Event` is the union of all events for type checkers; `UnknownEvent` carries
what this version does not know.

Source: ConverseStreamOutput in the Bedrock Runtime service model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import msgspec

from . import Value

__all__ = (
    "BlockStop",
    "CacheDetail",
    "Citation",
    "CitationDelta",
    "Event",
    "ImageDelta",
    "ImageStart",
    "MessageStart",
    "MessageStop",
    "Metadata",
    "ReasoningDelta",
    "Retrying",
    "TextDelta",
    "ToolCallDelta",
    "ToolCallEnd",
    "ToolCallStart",
    "ToolResultDelta",
    "ToolResultStart",
    "UnknownEvent",
    "Usage",
)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


# A str at run time, since msgspec takes one kind of str in a union.
if TYPE_CHECKING:
    StopReason: TypeAlias = (
        Literal[
            "end_turn",
            "tool_use",
            "max_tokens",
            "stop_sequence",
            "guardrail_intervened",
            "content_filtered",
            "malformed_model_output",
            "malformed_tool_use",
            "model_context_window_exceeded",
        ]
        | str
    )
else:
    StopReason = str


class CacheDetail(Value, msgspec.Struct, frozen=True):
    """Number of tokens written to the prompt cache with one lifetime."""

    ttl: str
    """The lifetime: `5m` or `1h`."""
    input_tokens: int
    """Input tokens written to the cache."""


class Usage(Value, msgspec.Struct, frozen=True, omit_defaults=True):
    """Token counts reported by the service. None means that it did not report a count; unknown is never 0."""

    input_tokens: int | None = None
    """Input tokens, excluding those read from or written to the prompt cache."""
    output_tokens: int | None = None
    """Output tokens, including reasoning."""
    total_tokens: int | None = None
    """Sum of input, cache and output tokens."""
    cache_read_tokens: int | None = None
    """Input tokens read from the prompt cache."""
    cache_write_tokens: int | None = None
    """Input tokens written to the prompt cache."""
    cache_details: tuple[CacheDetail, ...] = ()
    """Cache writes for each lifetime."""
    extra: dict[str, Any] = {}
    """Members unknown to this version, as received."""
    reasoning_tokens: int | None = None
    """Output tokens that were reasoning, as far as the service reports them; `output_tokens` includes them."""

    def __add__(self, other: Usage) -> Usage:
        """Return the counts of both. A count that is unknown on one side is unknown in the sum; `extra` is left out.

        `sum(usages)` works too. A start value of `Usage()` would make every count unknown.

        >>> total = Usage(1, 2, 3) + Usage(10, 20)
        >>> total.input_tokens, total.output_tokens, total.total_tokens
        (11, 22, None)
        """
        if not isinstance(other, Usage):
            return NotImplemented
        counts: dict[str, Any] = {}
        for name in _COUNTS:
            one, two = getattr(self, name), getattr(other, name)
            counts[name] = None if one is None or two is None else one + two
        return Usage(**counts, cache_details=_added_details(self, other))

    def __radd__(self, other: int) -> Usage:
        """Return these counts: `sum` begins with 0."""
        return self if type(other) is int and other == 0 else NotImplemented

    def merged(self, later: Usage) -> Usage:
        """Return these counts updated with those that `later` knows; unknown counts do not overwrite known ones."""
        # Claude's native stream reports input tokens in its first chunk and output tokens in a later one.
        known = {
            name: value for name in self.__struct_fields__ if (value := getattr(later, name)) not in (None, (), {})
        }
        if "extra" in known:
            known["extra"] = {**self.extra, **later.extra}
        return msgspec.structs.replace(self, **known)


_COUNTS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))


def _added_details(one: Usage, two: Usage) -> tuple[CacheDetail, ...]:
    """Return the cache writes of both by lifetime; none if one side may have written and does not say for how long."""
    totals: dict[str, int] = {}
    for usage in (one, two):
        if not usage.cache_details and usage.cache_write_tokens != 0:
            return ()
        for detail in usage.cache_details:
            totals[detail.ttl] = totals.get(detail.ttl, 0) + detail.input_tokens
    return tuple(CacheDetail(ttl, tokens) for ttl, tokens in totals.items())


class Citation(Value, msgspec.Struct, frozen=True, omit_defaults=True):
    """A source that the model cites for a part of its text."""

    title: str | None = None
    """Title of the source."""
    source: str | None = None
    """Name or address of the source."""
    source_content: tuple[str, ...] = ()
    """The cited passages."""
    location: dict[str, Any] | None = None
    """Location in the source, as a dict with one of the keys `web`, `documentChar`, `documentPage`, `documentChunk`,
    `searchResultLocation`."""
    extra: dict[str, Any] = {}
    """Members unknown to this version, as received."""
    start: int | None = None
    """In `Response.citations`: start of the text that cites this source, in characters of `Response.text`."""
    end: int | None = None
    """End of that text, exclusive: it is `response.text[start:end]`."""


class _Event(Value, msgspec.Struct, frozen=True, tag_field="type", tag=_snake, omit_defaults=True):
    """Base class that adds the `type` tag to the JSON of each event.

    Each event repeats it as `type`, by which `if` and `match` narrow an `Event` for type checkers.
    """


class MessageStart(_Event, frozen=True, gc=False):
    """Start of the message."""

    type: ClassVar[Literal["message_start"]] = "message_start"
    role: str
    """`assistant`."""


class TextDelta(_Event, frozen=True, gc=False):
    """A fragment of text."""

    type: ClassVar[Literal["text_delta"]] = "text_delta"
    index: int
    text: str


class ReasoningDelta(_Event, frozen=True, gc=False):
    """A fragment of reasoning. Exactly one of `text`, `signature` and `redacted` is set."""

    type: ClassVar[Literal["reasoning_delta"]] = "reasoning_delta"
    index: int
    text: str | None = None
    """A fragment of the reasoning text."""
    signature: str | None = None
    """Signature of the reasoning, which must be sent back unchanged in the next turn."""
    redacted: bytes | None = None
    """Encrypted reasoning, which must be sent back unchanged in the next turn."""


class ToolCallStart(_Event, frozen=True):
    """Start of a tool call."""

    type: ClassVar[Literal["tool_call_start"]] = "tool_call_start"
    index: int
    id: str
    """Id of the call, which the `ToolResult` refers to."""
    name: str
    """Name of the tool."""
    server: bool = False
    """True if the service runs this tool itself. The caller must not run it."""
    extra: dict[str, Any] = {}
    """Members of the block that this version does not know, such as Claude's `caller`. They become `ToolCall.extra`."""


class ToolCallDelta(_Event, frozen=True, gc=False):
    """A fragment of a tool call's input, as raw JSON text."""

    type: ClassVar[Literal["tool_call_delta"]] = "tool_call_delta"
    index: int
    input_json: str


class ToolCallEnd(_Event, frozen=True):
    """End of a tool call, with the parsed input."""

    type: ClassVar[Literal["tool_call_end"]] = "tool_call_end"
    index: int
    id: str
    name: str
    input: dict[str, Any] | None
    """The input object; None if `raw` is not a JSON object, and then `ToolInputError` is raised after the message."""
    raw: str
    """The text of the input as received; empty for a call without arguments, whose `input` is `{}`."""
    server: bool = False
    """True if the service runs this tool itself."""


class ToolResultStart(_Event, frozen=True, gc=False):
    """Start of the result of a server-side tool."""

    type: ClassVar[Literal["tool_result_start"]] = "tool_result_start"
    index: int
    id: str
    """Id of the tool call."""
    kind: str | None = None
    """The service's type of the result, such as `nova_code_interpreter_result`."""
    status: str | None = None
    """`success` or `error`."""


class ToolResultDelta(_Event, frozen=True):
    """A part of a server-side tool's result: Converse blocks, `{"text": ...}` or `{"json": ...}`."""

    type: ClassVar[Literal["tool_result_delta"]] = "tool_result_delta"
    index: int
    content: list[Any]


class CitationDelta(_Event, frozen=True):
    """A citation for the text of this block."""

    type: ClassVar[Literal["citation_delta"]] = "citation_delta"
    index: int
    citation: Citation


class ImageStart(_Event, frozen=True, gc=False):
    """Start of an image generated by the model."""

    type: ClassVar[Literal["image_start"]] = "image_start"
    index: int
    format: str
    """Name of the format, such as `png`."""


class ImageDelta(_Event, frozen=True):
    """A part of an image: bytes, a location in S3, or an error."""

    type: ClassVar[Literal["image_delta"]] = "image_delta"
    index: int
    data: bytes | None = None
    """A fragment of the image's content."""
    s3_location: dict[str, Any] | None = None
    """Location of the image: `uri` and optionally `bucketOwner`."""
    error: str | None = None
    """The service's message if the image could not be generated."""


class BlockStop(_Event, frozen=True):
    """End of a content block."""

    type: ClassVar[Literal["block_stop"]] = "block_stop"
    index: int
    block: dict[str, Any] | None = None
    """The complete block in the model's own format, if its other events do not contain all of it. It becomes a `Raw`
    of the message, so that it can be sent back unchanged."""


class MessageStop(_Event, frozen=True):
    """End of the message."""

    type: ClassVar[Literal["message_stop"]] = "message_stop"
    stop_reason: StopReason
    """Converse's stop reason: `end_turn`, `tool_use`, `max_tokens`, `stop_sequence`, `guardrail_intervened`,
    `content_filtered`, ...; unknown values are passed through."""
    raw_stop_reason: str | None = None
    """The model's own stop reason, if the dialect has other names."""
    additional_fields: Any = None
    """The response fields requested with `response_field_paths`."""


class Metadata(_Event, frozen=True):
    """Facts about the complete message, received after its end."""

    type: ClassVar[Literal["metadata"]] = "metadata"
    usage: Usage | None = None
    """Token counts."""
    latency_ms: int | None = None
    """Latency measured by the service, in milliseconds."""
    trace: dict[str, Any] | None = None
    """Guardrail and prompt-router traces, as received."""
    performance: str | None = None
    """The latency mode that was used: `standard` or `optimized`."""
    service_tier: str | None = None
    """The service tier that was used."""
    extra: dict[str, Any] = {}
    """Members unknown to this version, as received."""

    def merged(self, later: Metadata) -> Metadata:
        """Return this metadata updated with that of `later`; unset members of `later` do not overwrite set ones."""
        known = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) not in (None, {})}
        if self.usage is not None and later.usage is not None:
            known["usage"] = self.usage.merged(later.usage)
        if "extra" in known:
            known["extra"] = {**self.extra, **later.extra}
        return msgspec.structs.replace(self, **known)


class UnknownEvent(_Event, frozen=True):
    """An event unknown to this version, or the unknown members of a known one, as received."""

    type: ClassVar[Literal["unknown_event"]] = "unknown_event"
    name: str
    """The event type on the wire."""
    payload: Any
    """The payload or its unknown members."""


class Retrying(_Event, frozen=True, gc=False):
    """An attempt failed and another one follows; delivered with `show_retries=True` alone, before the wait.

    It comes before all events of the message, and is not one of them: `events_received` does not count it.
    """

    type: ClassVar[Literal["retrying"]] = "retrying"
    attempt: int
    """Number of the attempt that follows: 2 for the first retry."""
    wait: float
    """Seconds until it starts, from when this event was delivered; 0 for another target."""
    reason: str
    """Class of the error in `bedrock_stream.errors`, such as `Throttled`. The error itself is in `stream.attempts`."""


Event: TypeAlias = (
    MessageStart
    | TextDelta
    | ReasoningDelta
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | ToolResultStart
    | ToolResultDelta
    | CitationDelta
    | ImageStart
    | ImageDelta
    | BlockStop
    | MessageStop
    | Metadata
    | UnknownEvent
    | Retrying
)
"""Union of all events of a stream."""
