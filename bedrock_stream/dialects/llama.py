"""Llama's native format through InvokeModel: a conversation becomes one prompt, and the response is one text.

The structure of a prompt consists of special tokens that look like text, so untrusted text could forge a turn. Text of
callers, models and documents never becomes a token: `<|word|>` is sent as `< |word|>`, and for Llama 2 `[INST]`,
`<<SYS>>` and `<s>` as `[ INST]`, `< <SYS>>` and `< s>`, with their closing forms. The text remains readable.
Source: Meta's prompt formats, the Bedrock user guide, and recorded traffic (of Llama 4's form only the first).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableSequence, Sequence
from itertools import groupby
from typing import Any, ClassVar, Literal

import msgspec

from ..types.events import BlockStop, Event, Metadata, TextDelta, UnknownEvent, Usage
from ..types.media import Image
from ..types.messages import Block, CitedText, Message, Reasoning, Text
from ..types.options import Options
from .base import BaseDialect, Parse, ParsedResponse
from .chunks import ChunkReader
from .documents import (
    ACTION,
    METRICS,
    TRACE,
    message_stop,
    take_blocked,
    take_metrics,
    take_trace,
    with_total,
)
from .native import with_fields
from .payloads import decode_object, pop_as, raise_if_failed, without_nulls
from .texts import first_unsupported, joined_text, raise_unsupported, system_text, system_texts

__all__ = ("Llama", "LlamaReader")

_Wire = dict[str, Any]
_Turn = tuple[str, str]
"""A role and its text in the prompt."""

_STOPS = {"stop": "end_turn", "length": "max_tokens"}
_MAX_GEN_LEN = 2048  # of Llama 2 and 3, by the parameter page; Converse takes more
_IMAGE = "<|image|>"  # the position of an image in the text; its data is in `images`
# The first character of each special token. A space after it breaks the token.
_TOKEN_START = re.compile(r"<(?=\|[^\s<|>]+\|>)")
_TOKEN_START_2 = re.compile(r"<(?=/?s>|</?SYS>>)|\[(?=/?INST\])")
# Family -> the tokens before and after a role, and at the end of a turn. Two line feeds are part of a header.
_HEADERS = {
    "llama3": ("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"),
    "llama4": ("<|header_start|>", "<|header_end|>\n\n", "<|eot|>"),
}


# ------------------------------------------------------------------------------------------------------------- writing


def _turn_text(message: Message, token_start: re.Pattern[str]) -> str:
    """Return the text of a turn, with a token for each image.

    Reasoning and citations of earlier turns are omitted, since the prompt format does not have them. Tokens are broken
    after texts are joined, since a token could be split over two of them.
    """
    content = [block for block in message.content if not isinstance(block, Reasoning)]
    parts = []
    for image, blocks in groupby(content, key=lambda block: isinstance(block, Image)):
        if image:
            parts += [_IMAGE for _ in blocks]
        else:
            parts.append(token_start.sub(r"\g<0> ", joined_text(blocks, message.role)))
    return "".join(parts)


def _prompt(family: str, turns: Sequence[_Turn]) -> str:
    """Return a prompt for Llama 3 or 4. A last assistant turn remains open, so that the model continues it."""
    before, after, end = _HEADERS[family]
    prompt = "<|begin_of_text|>" + "".join(f"{before}{role}{after}{text}{end}" for role, text in turns)
    return prompt.removesuffix(end) if _is_open(turns) else f"{prompt}{before}assistant{after}"


def _prompt_2(turns: Sequence[_Turn]) -> str:
    """Return a prompt for Llama 2, where system text is part of the first instruction."""
    system = "\n".join(text for role, text in turns if role == "system")
    opening = f"<<SYS>>\n{system}\n<</SYS>>\n\n" if system else ""
    prompt = ""
    for role, text in turns:
        if role == "user":
            prompt += f"<s>[INST] {opening}{text} [/INST]"
            opening = ""
        elif role == "assistant":
            prompt += f" {text} </s>"
    return prompt.removesuffix(" </s>") if _is_open(turns) else prompt


def _is_open(turns: Sequence[_Turn]) -> bool:
    return bool(turns) and turns[-1][0] == "assistant"


def _alternate(turns: Sequence[_Turn]) -> bool:
    roles = [role for role, _ in turns]
    conversation = roles[roles.count("system") :]
    expected = ["assistant" if index % 2 else "user" for index in range(len(conversation))]
    return bool(conversation) and conversation == expected


# ------------------------------------------------------------------------------------------------------------- reading


class _Chunk(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    generation: str
    prompt: int | None = msgspec.field(default=None, name="prompt_token_count")
    generated: int | None = msgspec.field(default=None, name="generation_token_count")
    stop_reason: None = None
    action: Literal["NONE"] | None = msgspec.field(default=None, name=ACTION)


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class LlamaReader(ChunkReader):
    """Reader of one stream: a single block of text, with index 0."""

    __slots__ = ("_generated", "_open", "_prompt")

    def __init__(self) -> None:
        super().__init__()
        self._open = False
        self._prompt: int | None = None
        self._generated: int | None = None

    def read(self, document: bytes, events: MutableSequence[Event]) -> None:
        """See `DocumentReader.read`."""
        if not self.ended:
            try:
                chunk = _decode_chunk(document)
            except ValueError:  # the last chunk, an unknown member, or malformed: parsed generically
                pass
            else:
                self._add_text(chunk.generation, chunk.prompt, chunk.generated, events)
                return
        wire = decode_object(document, "a chunk")
        raise_if_failed(wire, mid_stream=True)
        self._read_any(wire, events)

    def _add_text(
        self, text: str | None, prompt: int | None, generated: int | None, events: MutableSequence[Event]
    ) -> None:
        if not self._message_started:
            self.start_message("assistant", events)
        if prompt is not None:  # in the first chunk only
            self._prompt = prompt
        if generated is not None:  # cumulative, so it begins again only with another message
            if self._generated is not None and generated < self._generated:
                self.start_message("assistant", events)
            self._generated = generated
        if text:
            self._open = True
            events.append(TextDelta(0, text))

    def _read_any(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        # A guardrail's text in place of the model's has no stop reason: the member is absent, or null on a chunk with
        # metrics or trace. A guardrail that only changes the model's text leaves the model's reason.
        last = "stop_reason" not in wire or METRICS in wire or TRACE in wire
        blocked = self.take_guardrail(wire)
        self.metadata = self.metadata.merged(take_metrics(wire))
        if self.ended:
            self.note_late(starts=wire.get("prompt_token_count") is not None, content=bool(wire.get("generation")))
            self.note_late(ends=wire.get("stop_reason") is not None)
        if not self.ended:
            # The last chunk may also have text, with the stop reason and the metrics.
            self._add_text(pop_as(wire, "generation", str), *_take_counts(wire), events)
            reason = pop_as(wire, "stop_reason", str)
            if reason is not None or (blocked and last):
                self._finish(reason, events)
        if rest := without_nulls(wire):
            events.append(UnknownEvent("chunk", rest))
        self.emit_metadata(events)

    def _finish(self, reason: str | None, events: MutableSequence[Event]) -> None:
        if self._open:
            events.append(BlockStop(0))
        events.append(message_stop("stop_reason", reason, _STOPS, blocked=self.blocked))
        # Bedrock's counts take precedence over the model's.
        self.metadata: Metadata = Metadata(usage=_usage(self._prompt, self._generated)).merged(self.metadata)
        self.ended = True


def _take_counts(wire: _Wire) -> tuple[int | None, int | None]:
    return pop_as(wire, "prompt_token_count", int), pop_as(wire, "generation_token_count", int)


def _usage(prompt: int | None, generated: int | None) -> Usage | None:
    return None if prompt is None and generated is None else Usage(prompt, generated)


# --------------------------------------------------------------------------------------------------------- the dialect


def _parse(wire: _Wire) -> ParsedResponse:
    text = msgspec.convert(wire.pop("generation"), str)
    metadata, blocked = Metadata(usage=_usage(*_take_counts(wire))).merged(take_trace(wire)), take_blocked(wire)
    metadata = metadata.merged(take_metrics(wire))
    stop = message_stop("stop_reason", pop_as(wire, "stop_reason", str), _STOPS, blocked=blocked)
    return [Text(text)], stop, with_total(metadata.merged(Metadata(extra=without_nulls(wire))))


class Llama(BaseDialect):
    """The dialect of one family of Llama: `llama2`, `llama3` or `llama4`."""

    reader: ClassVar[staticmethod[[], LlamaReader]] = staticmethod(LlamaReader)
    parse: ClassVar[Parse] = staticmethod(_parse)

    def __init__(self, family: str) -> None:
        self._family = family

    def unsupported(self, messages: Sequence[Message], options: Options) -> str | None:
        """See `dialects.Native`."""
        if options.tools:
            return "Llama's native format does not support tools"
        if self._family != "llama4" and (options.max_tokens or 0) > _MAX_GEN_LEN:
            return f"Llama's native format takes at most {_MAX_GEN_LEN} for max_tokens"
        if options.stop_sequences:
            return "Llama's native format does not support stop_sequences"
        if None in system_texts(options):
            return "Llama's native format supports only text in system"
        if block := first_unsupported(messages, self._can_write):
            path, kind = block
            return f"{path}: the {self._family} format does not support {kind}"
        if self._family == "llama2" and not _alternate(self._turns(messages, options)):
            return "messages: Llama 2 requires alternating user and assistant turns, user first, after any system text"
        return None

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """See `dialects.Dialect`. Raises `UnsupportedOperation` for what `unsupported` names."""
        raise_unsupported(self.unsupported(messages, options))
        turns = self._turns(messages, options)
        prompt = _prompt_2(turns) if self._family == "llama2" else _prompt(self._family, turns)
        fields = {
            "max_gen_len": options.max_tokens,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "images": [block.data for message in messages for block in message.content if isinstance(block, Image)],
        }
        return with_fields({"prompt": prompt}, fields, options)

    def _can_write(self, block: Block, role: str) -> bool:
        if isinstance(block, Image):
            return self._family != "llama2" and role == "user" and block.data is not None
        return isinstance(block, Text | CitedText | Reasoning)

    def _turns(self, messages: Iterable[Message], options: Options) -> list[_Turn]:
        token_start = _TOKEN_START_2 if self._family == "llama2" else _TOKEN_START
        turns = [(message.role, _turn_text(message, token_start)) for message in messages]
        if system := system_text(options):
            turns.insert(0, ("system", token_start.sub(r"\g<0> ", system)))
        return [turn for turn in turns if turn[1]]  # e.g. without a turn of reasoning only
