"""Llama's own form behind InvokeModel: a conversation becomes one prompt, and the answer is one text.

A prompt's structure is made of marks that look like text, so whoever can write text could forge a turn. Nothing that
callers, models or documents say may become a mark: inside their text `<|word|>` is sent as `< |word|>`, for Llama 2
`[INST]`, `<<SYS>>` and `<s>` as `[ INST]`, `< <SYS>>` and `< s>`, with their closing forms. The model still reads what
was meant, and every mark in a prompt is ours.
Source: Meta's prompt formats, the Bedrock user guide, and recorded traffic (of Llama 4's form only the first).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Literal

import msgspec

from ..types.events import BlockStop, Event, MessageStart, Metadata, TextDelta, UnknownEvent, Usage
from ..types.media import Image
from ..types.messages import Block, CitedText, Message, Reasoning, Text
from ..types.options import Options
from ..types.response import Response, build_response
from .chunks import ACTION, METRICS, TRACE, ChunkReader, close_metadata, metrics_of, stop_of, take_blocked, take_trace
from .payloads import answer_as_described, decode_object, pop_as, present
from .texts import first_unsupported, joined_text, raise_refusal, system_text, system_texts, with_fields

__all__ = ("Llama", "LlamaReader")

_Wire = dict[str, Any]
_Turn = tuple[str, str]
"""A role, and what goes into the prompt for it."""

_STOPS = {"stop": "end_turn", "length": "max_tokens"}
_IMAGE = "<|image|>"
_MARK = re.compile(r"<(?=\|[^\s<|>]+\|>)")
_MARK_2 = re.compile(r"<(?=/?s>|</?SYS>>)|\[(?=/?INST\])")
# Family -> what stands before and after a role, and at the end of a turn.
_HEADERS = {
    "llama3": ("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"),
    "llama4": ("<|header_start|>", "<|header_end|>\n\n", "<|eot|>"),
}


class Llama:
    """The dialect of one family of Llama: `llama2`, `llama3` or `llama4`."""

    route = "invoke"
    operation = "invoke"
    stream_operation = "invoke-with-response-stream"

    def __init__(self, family: str) -> None:
        self._family = family

    def unsupported(self, messages: Sequence[Message], options: Options) -> str | None:
        """Why this conversation cannot be said in this form; None where it can."""
        if options.tools:
            return "tools: Llama's own form has none"
        if options.stop_sequences:
            return "stop_sequences: Llama's own form has none"
        if None in system_texts(options):
            return "system: Llama's own form takes text only"
        if found := first_unsupported(messages, self._can_write):
            place, kind = found
            return f"{place}: the form of {self._family} has no place for a {kind}"
        if self._family == "llama2" and not _alternate(self._turns(messages, options)):
            return "messages: Llama 2 takes turns of user and assistant, the user first, any system text before them"
        return None

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """See `dialects.Dialect`. `extra` has the last word."""
        raise_refusal(self.unsupported(messages, options))
        turns = self._turns(messages, options)
        prompt = _prompt_2(turns) if self._family == "llama2" else _prompt(self._family, turns)
        fields = {
            "max_gen_len": options.max_tokens,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "images": [block.data for message in messages for block in message.content if isinstance(block, Image)],
        }
        return with_fields({"prompt": prompt}, fields, options)

    def reader(self) -> LlamaReader:
        """See `dialects.Dialect`."""
        return LlamaReader()

    def answer(self, body: bytes, *, request_id: str | None, model: str) -> Response:
        """See `dialects.Dialect`."""
        wire = decode_object(body, "the answer")
        with answer_as_described():
            text = msgspec.convert(wire.pop("generation"), str)
            metadata, blocked = Metadata(usage=_usage(*_take_counts(wire))).merged(take_trace(wire)), take_blocked(wire)
            metadata = metadata.merged(metrics_of(wire) or Metadata())
            stop = stop_of("stop_reason", pop_as(wire, "stop_reason", str), _STOPS, blocked=blocked)
        metadata = close_metadata(metadata.merged(Metadata(extra=present(wire))))
        return build_response([Text(text)], stop, metadata, request_id=request_id, model=model, route=self.route)

    def _can_write(self, block: Block, role: str) -> bool:
        if isinstance(block, Image):
            return self._family != "llama2" and role == "user" and block.data is not None
        return isinstance(block, Text | CitedText | Reasoning)

    def _turns(self, messages: Iterable[Message], options: Options) -> list[_Turn]:
        mark = _MARK_2 if self._family == "llama2" else _MARK
        turns = [(message.role, _written(message, mark)) for message in messages]
        if system := system_text(options):
            turns.insert(0, ("system", mark.sub(r"\g<0> ", system)))
        return [turn for turn in turns if turn[1]]


# ------------------------------------------------------------------------------------------------------------- writing


def _written(message: Message, mark: re.Pattern[str]) -> str:
    """A turn's text, with a mark where each image stands.

    Reasoning and citations of earlier turns stay behind: the prompt has no place for them, and the model does not miss
    them. Texts are made harmless once joined, since a mark could be cut over two of them.
    """
    kept = [block for block in message.content if not isinstance(block, Reasoning)]
    parts = []
    for image, blocks in groupby(kept, key=lambda block: isinstance(block, Image)):
        if image:
            parts += [_IMAGE for _ in blocks]
        else:
            parts.append(mark.sub(r"\g<0> ", joined_text(blocks, message.role)))
    return "".join(parts)


def _prompt(family: str, turns: Sequence[_Turn]) -> str:
    """The form of Llama 3 and 4. A last turn of the assistant stays open: the model goes on with it."""
    before, after, end = _HEADERS[family]
    prompt = "<|begin_of_text|>" + "".join(f"{before}{role}{after}{text}{end}" for role, text in turns)
    return prompt.removesuffix(end) if _open(turns) else f"{prompt}{before}assistant{after}"


def _prompt_2(turns: Sequence[_Turn]) -> str:
    """The form of Llama 2: system text is part of the first instruction."""
    system = "\n".join(text for role, text in turns if role == "system")
    opening = f"<<SYS>>\n{system}\n<</SYS>>\n\n" if system else ""
    prompt = ""
    for role, text in turns:
        if role == "user":
            prompt += f"<s>[INST] {opening}{text} [/INST]"
            opening = ""
        elif role == "assistant":
            prompt += f" {text} </s>"
    return prompt.removesuffix(" </s>") if _open(turns) else prompt


def _open(turns: Sequence[_Turn]) -> bool:
    return bool(turns) and turns[-1][0] == "assistant"


def _alternate(turns: Sequence[_Turn]) -> bool:
    roles = [role for role, _ in turns]
    said = roles[roles.count("system") :]
    return bool(said) and said == ["assistant" if place % 2 else "user" for place in range(len(said))]


# ------------------------------------------------------------------------------------------------------------- reading


class _Chunk(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    generation: str
    prompt: int | None = msgspec.field(default=None, name="prompt_token_count")
    generated: int | None = msgspec.field(default=None, name="generation_token_count")
    stop_reason: None = None
    action: Literal["NONE"] | None = msgspec.field(default=None, name=ACTION)


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class LlamaReader(ChunkReader):
    """Reads one stream: a single block of text, at index 0."""

    __slots__ = ("_generated", "_open", "_prompt", "_started")

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._open = False
        self._prompt: int | None = None
        self._generated: int | None = None

    def read(self, document: bytes, events: deque[Event]) -> None:
        """See `ChunkReader.read`."""
        if not self.ended:
            try:
                chunk = _decode_chunk(document)
            except ValueError:  # the last one, or rare, new or broken: the generic way tells which
                pass
            else:
                self._say(chunk.generation, chunk.prompt, chunk.generated, events)
                return
        self._read_any(decode_object(document, "a chunk"), events)

    def _say(self, text: str | None, prompt: int | None, generated: int | None, events: deque[Event]) -> None:
        if not self._started:
            self._started = True
            events.append(MessageStart("assistant"))
        if prompt is not None:  # only in the first chunk
            self._prompt = prompt
        if generated is not None:  # cumulative
            self._generated = generated
        if text:
            self._open = True
            events.append(TextDelta(0, text))

    def _read_any(self, wire: _Wire, events: deque[Event]) -> None:
        # A guardrail that speaks in the model's place gives no reason; one that changes a text lets the model give it.
        last = "stop_reason" not in wire or METRICS in wire or TRACE in wire
        blocked = self.take_guardrail(wire)
        self.metadata = self.metadata.merged(metrics_of(wire) or Metadata())
        if not self.ended:
            self._say(pop_as(wire, "generation", str), *_take_counts(wire), events)
            reason = pop_as(wire, "stop_reason", str)
            if reason is not None or (blocked and last):
                self._finish(reason, events)
        if rest := present(wire):
            events.append(UnknownEvent("chunk", rest))
        self.tell_metadata(events)

    def _finish(self, reason: str | None, events: deque[Event]) -> None:
        if self._open:
            events.append(BlockStop(0))
        events.append(stop_of("stop_reason", reason, _STOPS, blocked=self.blocked))
        self.metadata = Metadata(usage=_usage(self._prompt, self._generated)).merged(self.metadata)
        self.ended = True


def _take_counts(wire: _Wire) -> tuple[int | None, int | None]:
    return pop_as(wire, "prompt_token_count", int), pop_as(wire, "generation_token_count", int)


def _usage(prompt: int | None, generated: int | None) -> Usage | None:
    return None if prompt is None and generated is None else Usage(prompt, generated)
