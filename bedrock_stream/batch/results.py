"""Lines of the result, as Bedrock's batch jobs write them: the input of a row with its answer or its error. Pure.

An answer is what the model returned where the caller wrote the body, and else in the form of Converse.
Source: "View the results of a batch inference job" in Bedrock's user guide.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..dialects.converse.blocks import write_block
from ..dialects.encoding import blob_data
from ..errors import RowInvalid
from ..types.events import Usage
from ..types.response import Response
from .formats import Entry
from .rows import Row

__all__ = ("Manifest", "converse_answer", "result_line")

_encode = msgspec.json.Encoder(enc_hook=blob_data).encode

_INVALID = 400  # what the service answers to a request like that


def result_line(entry: Entry, row: Row, *, with_input: bool = True) -> bytes:
    """Return a row's line of the result, with its end."""
    name = b"modelOutput" if row.error is None else b"error"
    value = _encode(_answer(row.response) if row.error is None else _error(entry, row))
    given = b',"modelInput":%s' % entry.model_input if with_input else b""
    return b'{"recordId":%s%s,"%s":%s}\n' % (_encode(entry.record_id), given, name, value)


def _answer(response: Any) -> Any:
    return converse_answer(response) if isinstance(response, Response) else response


def _error(entry: Entry, row: Row) -> dict[str, Any]:
    """Return an error as AWS has it, `errorCode` and `errorMessage`, and what else helps to decide what to do."""
    error = row.error
    message = str(error)
    if isinstance(error, RowInvalid):  # it counts the rows, and the caller counts lines
        message = message.replace(f"prompts[{row.index}]", f"line {entry.line.number}", 1)
    return {
        "errorCode": _INVALID if isinstance(error, RowInvalid) else getattr(error, "status", None),
        "errorMessage": message,
        "errorType": type(error).__name__,
        "retryable": bool(getattr(error, "retryable", False)),
        "requestId": getattr(error, "request_id", None),
    }


def converse_answer(response: Response) -> dict[str, Any]:
    """Return a response in the form of Converse's answers, whatever API it came by."""
    content = [write_block(block) for block in response.message.content]
    answer: dict[str, Any] = {"output": {"message": {"role": response.message.role, "content": content}}}
    answer["stopReason"] = response.stop_reason
    if response.usage is not None:
        answer["usage"] = _usage(response.usage)
    if response.latency_ms is not None:
        answer["metrics"] = {"latencyMs": response.latency_ms}
    if response.additional_fields:
        answer["additionalModelResponseFields"] = response.additional_fields
    if response.trace is not None:
        answer["trace"] = response.trace
    return answer


def _usage(usage: Usage) -> dict[str, int]:
    counts = {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total_tokens,
        "cacheReadInputTokens": usage.cache_read_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
    }
    return {name: count for name, count in counts.items() if count is not None}


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What stands beside a result: the six counters of AWS's `manifest.json.out`, and those of this library."""

    total_record_count: int
    processed_record_count: int
    success_record_count: int
    error_record_count: int
    input_token_count: int
    output_token_count: int
    cost: float | None
    """None if no cost is known."""
    reused: int
    """Rows that were in the journal of an earlier run, or are equal to another one."""
    paused_seconds: float
    """How long this run was paused by throttling."""
    paid_again: int
    """Rows of this run that were asked again although a part of their answer had come."""

    def encode(self) -> bytes:
        """Return it as a file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"
