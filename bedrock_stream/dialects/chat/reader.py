"""Reads a Chat Completions stream in server-sent events.

Beside what `OpenAIReader` reads: reasoning as a member of its own, refusals, ids of calls that each answer counts anew,
counts that include the prompt cache, and errors. The message ends with its finish reason; counts may follow.
Source: OpenAI's Chat Completions reference, and what servers of open models send.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any, ClassVar, Literal

import msgspec

from ...types.events import Event, MessageStop, Metadata
from ..documents import take_metrics
from ..error_events import decode_event
from ..openai.ids import is_counter, qualified
from ..openai.reader import OpenAIReader
from ..openai.usage import read_usage
from ..payloads import pop_as
from ..sse_reader import SSEReader

__all__ = ("ChatReader", "take_counts")

_Wire = dict[str, Any]
_UNREAD = msgspec.Raw()
_ANSWER = ("choices", "usage")  # a document without either is not a chunk


# The most frequent chunk, with text or reasoning alone; see `OpenAIReader`.
class _Delta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: None = None
    tool_calls: tuple[()] | None = None


class _Choice(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    delta: _Delta
    index: Literal[0] = 0
    finish_reason: None = None
    logprobs: None = None
    stop_reason: None = None
    token_ids: None = None


class _Chunk(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    choices: tuple[_Choice]
    id: str | None = None
    object: msgspec.Raw = _UNREAD
    created: msgspec.Raw = _UNREAD
    model: msgspec.Raw = _UNREAD
    service_tier: msgspec.Raw = _UNREAD
    system_fingerprint: msgspec.Raw = _UNREAD
    obfuscation: msgspec.Raw = _UNREAD
    usage: None = None


_decode_delta = msgspec.json.Decoder(_Chunk).decode


def take_counts(wire: _Wire) -> Metadata:
    """Remove the token counts and the service tier from a chunk or a response and return them."""
    metadata = Metadata(service_tier=pop_as(wire, "service_tier", str))
    usage = wire.pop("usage", None)
    if usage is not None:
        counts = read_usage(msgspec.convert(usage, _Wire), input="prompt", output="completion")
        metadata = metadata.merged(Metadata(usage=counts))
    return metadata.merged(take_metrics(wire))


class ChatReader(SSEReader, OpenAIReader):
    """Reader of one Chat Completions stream in server-sent events."""

    __slots__ = ("_refused",)

    take_counts: ClassVar[staticmethod[[_Wire], Metadata]] = staticmethod(take_counts)

    def __init__(self, *, tagged: bool = False) -> None:
        super().__init__(tagged=tagged)
        self._refused = False

    def read(self, document: bytes, events: MutableSequence[Event]) -> None:
        """See `DocumentReader.read`."""
        if not self.ended:
            try:
                chunk = _decode_delta(document)
            except ValueError:  # a rare chunk, an unknown member, or malformed: parsed generically
                pass
            else:
                delta = chunk.choices[0].delta
                # Only the first chunk must have a role.
                if not self._message_started or delta.role is not None:
                    self._start(delta.role, chunk.id, events)
                if reasoning := delta.reasoning or delta.reasoning_content:
                    self._add_content(((True, reasoning),), events)
                if delta.content:  # empty in the first chunk
                    self._add_content(self._tags.feed(delta.content), events)
                return
        self._read_any(decode_event(document, self.event_name, answer=_ANSWER), events)

    def _take_content(self, delta: _Wire, events: MutableSequence[Event]) -> None:
        names = ("reasoning", "reasoning_content")
        if reasoning := [text for name in names if (text := pop_as(delta, name, str))]:
            self._add_content(((True, reasoning[0]),), events)  # some servers send it under both names
        super()._take_content(delta, events)
        if refusal := pop_as(delta, "refusal", str):
            self._refused = True
            self._add_content(((False, refusal),), events)

    def _call_id(self, call_id: str | None) -> str | None:
        if call_id and is_counter(call_id):
            return qualified(self._id if isinstance(self._id, str) else None, call_id)
        return call_id

    def _stop(self, reason: str | None) -> MessageStop:
        stop = super()._stop(reason)
        refused = self._refused and stop.stop_reason == "end_turn"
        return msgspec.structs.replace(stop, stop_reason="content_filtered") if refused else stop
