"""Streams of Messages, Chat Completions and Responses in server-sent events, written from the vendors' references.

The content of an answer is a list of steps: `("text", pieces)`, `("reasoning", pieces)`, `("call", id, name, pieces)`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from bedrock_stream import Event
from bedrock_stream.dialects import Reader

Wire = dict[str, Any]
Step: TypeAlias = tuple[Any, ...]

__all__ = (
    "APIS", "Step", "Wire", "chat", "chat_answer", "encode", "messages", "read_bytes", "responses", "responses_answer",
)  # fmt: skip


def encode(api: str, documents: Iterable[Wire], *, line: bytes = b"\n", done: bool = True) -> list[bytes]:
    """Return the events of documents as the service writes them, with `[DONE]` on Chat Completions."""
    parts = []
    for document in documents:
        rows = [b"data: " + msgspec.json.encode(document)]
        if api == "messages":
            rows.insert(0, b"event: " + document["type"].encode())
        elif api == "responses" and "type" in document:
            rows.append(b"event: " + document["type"].encode())  # behind the data, as recorded
        parts.append(line.join([*rows, b"", b""]))
    return [*parts, b"data: [DONE]" + line * 2] if api == "chat" and done else parts


def read_bytes(reader: Reader, parts: Iterable[bytes]) -> list[Event]:
    """Feed the bytes of a body to a reader through its decoder and return the events."""
    decoder, events = reader.new_decoder(), deque[Event]()
    for part in parts:
        reader.feed(decoder.feed(part), events)
        if decoder.error is not None:
            raise decoder.error
    return list(events)


def messages(*steps: Step, stop: str = "end_turn", usage: Wire | None = None) -> list[Wire]:
    """Return the documents of a stream of the Messages API."""
    counts = {"input_tokens": 11, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 1}
    message = {
        "id": "msg_bdrk_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "usage": counts | (usage or {}),
    }
    documents: list[Wire] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, step in enumerate(steps):
        block: Wire
        deltas: list[Wire]
        match step:
            case ("text", pieces):
                block, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": p} for p in pieces]
            case ("reasoning", pieces):
                block = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
                deltas.append({"type": "signature_delta", "signature": "c2ln"})
            case (_, call_id, name, pieces):
                block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        documents.append({"type": "content_block_start", "index": index, "content_block": block})
        documents += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        documents.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": stop, "stop_sequence": None}
    return [
        *documents,
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]


def chat(
    *steps: Step, stop: str = "stop", usage: Wire | None = None, member: str = "reasoning", **more: Any
) -> list[Wire]:
    """Return the chunks of a stream of Chat Completions; `member` has the reasoning."""

    def chunk(delta: Wire, reason: str | None = None) -> Wire:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more}

    documents = [chunk({"role": "assistant", "content": ""})]
    calls = 0
    for step in steps:
        match step:
            case ("text", pieces):
                documents += [chunk({"content": piece}) for piece in pieces]
            case ("reasoning", pieces):
                documents += [chunk({member: piece}) for piece in pieces]
            case (_, call_id, name, pieces):
                start = {"index": calls, "id": call_id, "type": "function"}
                documents.append(chunk({"tool_calls": [{**start, "function": {"name": name, "arguments": ""}}]}))
                for piece in pieces:
                    documents.append(chunk({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]}))
                calls += 1
    documents.append(chunk({}, stop))
    if usage is not None:
        documents.append({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": usage})
    return documents


def chat_answer(message: Wire, *, stop: str = "stop", **more: Any) -> bytes:
    """Return a complete response of Chat Completions."""
    choice = {"index": 0, "finish_reason": stop, "logprobs": None, "message": {"role": "assistant", **message}}
    return msgspec.json.encode({"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], **more})


COUNTS = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 29,
}


def responses_answer(output: Sequence[Wire], *, status: str = "completed", id: str = "resp_1", **more: Any) -> Wire:
    """Return the whole answer of the Responses API, as its last event has it too."""
    return {
        "id": id,
        "object": "response",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "m",
        "tools": [],
        "service_tier": "default",
        "output": list(output),
        "usage": COUNTS,
        **more,
    }


def responses(*steps: Step, status: str = "completed", id: str = "resp_1", **more: Any) -> list[Wire]:
    """Return the events of a stream of the Responses API. Further steps: `("item", wire)`, `("refusal", pieces)`."""
    start = responses_answer((), status="in_progress", id=id, usage=None, service_tier="auto")
    documents: list[Wire] = [{"type": f"response.{kind}", "response": start} for kind in ("created", "in_progress")]
    output = []
    for index, step in enumerate(steps):
        added, events, done = _ITEMS[step[0]](index, step)
        documents.append({"type": "response.output_item.added", "output_index": index, "item": added})
        documents += [{"output_index": index, "item_id": done["id"], **event} for event in events]
        documents.append({"type": "response.output_item.done", "output_index": index, "item": done})
        output.append(done)
    answer = responses_answer(output, status=status, id=id, **more)
    documents.append({"type": f"response.{status}", "response": answer})
    return [{**document, "sequence_number": number} for number, document in enumerate(documents)]


def _message(index: int, step: Step) -> tuple[Wire, list[Wire], Wire]:
    kind, pieces = step
    name, member = ("output_text", "text") if kind == "text" else ("refusal", "refusal")
    base: Wire = {"id": f"msg_{index}", "type": "message", "role": "assistant"}
    part = {"type": name, member: "".join(pieces), **({"annotations": []} if kind == "text" else {})}
    here = {"content_index": 0}
    events: list[Wire] = [{"type": "response.content_part.added", **here, "part": {**part, member: ""}}]
    events += [{"type": f"response.{name}.delta", **here, "delta": p, "obfuscation": "xy"} for p in pieces]
    events.append({"type": f"response.{name}.done", **here, member: part[member]})
    events.append({"type": "response.content_part.done", **here, "part": part})
    return {**base, "content": [], "status": "in_progress"}, events, {**base, "content": [part], "status": "completed"}


def _reasoning(index: int, step: Step) -> tuple[Wire, list[Wire], Wire]:
    base: Wire = {"id": f"rs_{index}", "type": "reasoning", "summary": []}
    text, here = "".join(step[1]), {"content_index": 0}
    events: list[Wire] = [{"type": "response.reasoning_text.delta", **here, "delta": piece} for piece in step[1]]
    events.append({"type": "response.reasoning_text.done", **here, "text": text})
    return base, events, {**base, "content": [{"type": "reasoning_text", "text": text}]}


def _call(index: int, step: Step) -> tuple[Wire, list[Wire], Wire]:
    _, call_id, name, pieces = step
    base: Wire = {"id": f"fc_{index}", "type": "function_call", "call_id": call_id, "name": name}
    events: list[Wire] = [{"type": "response.function_call_arguments.delta", "delta": piece} for piece in pieces]
    events.append({"type": "response.function_call_arguments.done", "arguments": "".join(pieces)})
    return {**base, "arguments": "", "status": "in_progress"}, events, {**base, "arguments": "".join(pieces)}


def _item(_index: int, step: Step) -> tuple[Wire, list[Wire], Wire]:
    return step[1], [], step[1]


_ITEMS: dict[str, Callable[[int, Step], tuple[Wire, list[Wire], Wire]]] = {
    "text": _message,
    "refusal": _message,
    "reasoning": _reasoning,
    "call": _call,
    "item": _item,
}

APIS: dict[str, Callable[..., list[Wire]]] = {"messages": messages, "chat": chat, "responses": responses}
"""The writers of streams, by the word of the option `api`."""
