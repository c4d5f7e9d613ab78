"""What a user receives while a message streams in.

Every route and dialect yields these same events. They are frozen msgspec structs tagged by `type`, so
`msgspec.json.encode(event)` is what an SSE endpoint sends. `index` is the block's place in the message: blocks may
interleave, and text and reasoning blocks open by their first delta alone. `Event` is the closed list for type checkers;
`UnknownEvent` is the open door for what AWS adds tomorrow.

Source: ConverseStreamOutput in the Bedrock Runtime service model.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import msgspec

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


class CacheDetail(msgspec.Struct, frozen=True):
    """Tokens written to the prompt cache with one lifetime."""

    ttl: str
    """`5m` or `1h`."""
    input_tokens: int


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the service counted. None where it did not say; never zero in place of unknown."""

    input_tokens: int | None = None
    """Input tokens, without those read from or written to the cache."""
    output_tokens: int | None = None
    """Output tokens, thinking included."""
    total_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_details: tuple[CacheDetail, ...] = ()
    """Cache writes by lifetime."""
    extra: dict[str, Any] = {}
    """Members that this version does not know, as they came."""

    def merged(self, later: Usage) -> Usage:
        """These counts with what `later` knows; unknowns never wipe out a count."""
        known = {
            name: value for name in self.__struct_fields__ if (value := getattr(later, name)) not in (None, (), {})
        }
        if "extra" in known:
            known["extra"] = {**self.extra, **later.extra}
        return msgspec.structs.replace(self, **known)


class Citation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A source that the model names for a piece of its text."""

    title: str | None = None
    source: str | None = None
    source_content: tuple[str, ...] = ()
    """The cited passages."""
    location: dict[str, Any] | None = None
    """Where in the source: one of `web`, `documentChar`, `documentPage`, `documentChunk`, `searchResultLocation`."""
    extra: dict[str, Any] = {}
    """Members that this version does not know, as they came."""


class _Event(msgspec.Struct, frozen=True, tag_field="type", tag=_snake, omit_defaults=True):
    """The base that gives each event its `type`."""


class MessageStart(_Event, frozen=True, gc=False):
    """The model began to answer."""

    role: str


class TextDelta(_Event, frozen=True, gc=False):
    """A piece of text."""

    index: int
    text: str


class ReasoningDelta(_Event, frozen=True, gc=False):
    """A piece of reasoning: exactly one of text, signature, redacted."""

    index: int
    text: str | None = None
    signature: str | None = None
    """Proof that the reasoning is the model's; goes back unchanged on the next turn."""
    redacted: bytes | None = None
    """Reasoning that is encrypted for the model's eyes; goes back unchanged on the next turn."""


class ToolCallStart(_Event, frozen=True, gc=False):
    """The model began to call a tool."""

    index: int
    id: str
    name: str
    server: bool = False
    """Whether the service runs this tool itself; the caller has nothing to do."""


class ToolCallDelta(_Event, frozen=True, gc=False):
    """A fragment of the tool's input, as raw JSON text."""

    index: int
    input_json: str


class ToolCallEnd(_Event, frozen=True):
    """The tool call is complete, its input parsed."""

    index: int
    id: str
    name: str
    input: dict[str, Any] | None
    """The input object; None where `raw` is not a JSON object, and then `ToolInputError` follows the message's end."""
    raw: str
    """The input's text as it came; empty for a tool without arguments, whose `input` is `{}`."""
    server: bool = False


class ToolResultStart(_Event, frozen=True, gc=False):
    """The result of a server-side tool begins."""

    index: int
    id: str
    kind: str | None = None
    """Its type on the wire, `nova_code_interpreter_result`."""
    status: str | None = None
    """`success` or `error`."""


class ToolResultDelta(_Event, frozen=True):
    """A piece of a server-side tool's result: Converse blocks, `{"text": ...}` or `{"json": ...}`."""

    index: int
    content: list[Any]


class CitationDelta(_Event, frozen=True):
    """A source for the text of this block."""

    index: int
    citation: Citation


class ImageStart(_Event, frozen=True, gc=False):
    """An image made by the model begins."""

    index: int
    format: str


class ImageDelta(_Event, frozen=True):
    """A piece of an image: its bytes, a place in S3, or what went wrong."""

    index: int
    data: bytes | None = None
    s3_location: dict[str, Any] | None = None
    error: str | None = None


class BlockStop(_Event, frozen=True, gc=False):
    """The block is complete."""

    index: int


class MessageStop(_Event, frozen=True):
    """The message is complete."""

    stop_reason: str
    """In Converse's words: `end_turn`, `tool_use`, `max_tokens`, `stop_sequence`, `guardrail_intervened`,
    `content_filtered`, ...; what AWS adds passes through."""
    raw_stop_reason: str | None = None
    """The model's own word, where it differs by dialect."""
    additional_fields: Any = None
    """What `response_field_paths` asked for."""


class Metadata(_Event, frozen=True):
    """What the service says about the whole message, after its end."""

    usage: Usage | None = None
    latency_ms: int | None = None
    trace: dict[str, Any] | None = None
    """Guardrail and prompt-router traces as they came."""
    performance: str | None = None
    """The latency mode that served the request."""
    service_tier: str | None = None
    """The tier that served the request."""
    extra: dict[str, Any] = {}
    """Members that this version does not know, as they came."""

    def merged(self, later: Metadata) -> Metadata:
        """These facts with those of `later`: later facts join, they do not wipe out."""
        facts = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) not in (None, {})}
        if self.usage is not None and later.usage is not None:
            facts["usage"] = self.usage.merged(later.usage)
        if "extra" in facts:
            facts["extra"] = {**self.extra, **later.extra}
        return msgspec.structs.replace(self, **facts)


class UnknownEvent(_Event, frozen=True):
    """An event, or members of one, that this version does not know, as they came."""

    name: str
    payload: Any


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
)
