"""What a call has of attributes, in the conventions' words. Pure: no span, no clock.

`error.type` is the class of `bedrock_stream.errors`, of which there are few, and which is the same whether the service
said no by a status or inside the stream; the service's own code stands beside it.
"""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import urlsplit

from ...errors import (
    BedrockStreamError,
    ModelError,
    ModelStreamError,
    NotAnEventStream,
    ServiceError,
    ToolInputError,
    ValidationFailed,
)
from ...observing import Attempt, Ending, Subject
from ...types.events import Usage
from ...types.options import Options
from ...types.settings import Target

__all__ = (
    "Attributes",
    "error_type",
    "finish_reason",
    "input_tokens",
    "of_answer",
    "of_failure",
    "of_place",
    "of_request",
    "of_retry",
    "of_usage",
    "operation_name",
    "sentence",
)

Attributes: TypeAlias = dict[str, str | bool | int | float | list[str]]

_PORTS = {"http": 80, "https": 443}
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
# Their sentences may quote the conversation.
_QUOTING = (ValidationFailed, ModelError, ModelStreamError, NotAnEventStream, ToolInputError)


def operation_name(subject: Subject) -> str | None:
    """The conventions' name for what is asked; None where it asks no model for anything."""
    if subject.operation == "count-tokens":
        return None
    if subject.options is None and "embed" in subject.model:
        return "embeddings"
    return "chat"


def of_place(target: Target) -> Attributes:
    """Where a request goes."""
    found: Attributes = {}
    address = urlsplit(target.endpoint_url or "")
    if address.hostname:
        found["server.address"] = address.hostname
        found["server.port"] = address.port or _PORTS.get(address.scheme, 443)
    return found


def of_request(subject: Subject) -> Attributes:
    """What is known before anything is sent, beside operation, provider, model and place."""
    found: Attributes = {"bedrock_stream.route": subject.route}
    if subject.target.region is not None:
        found["cloud.region"] = subject.target.region
    if subject.streaming:  # never False: left out, it says so
        found["gen_ai.request.stream"] = True
    if subject.options is not None:
        found |= _of_options(subject.options)
    return found


def _of_options(options: Options) -> Attributes:
    found: Attributes = {}
    if options.max_tokens is not None:
        found["gen_ai.request.max_tokens"] = options.max_tokens
    if options.top_k is not None:
        found["gen_ai.request.top_k"] = options.top_k
    for name in ("temperature", "top_p"):
        value = getattr(options, name)
        if value is not None:
            found[f"gen_ai.request.{name}"] = float(value)
    if options.stop_sequences:
        found["gen_ai.request.stop_sequences"] = list(options.stop_sequences)
    if options.output_schema is not None:
        found["gen_ai.output.type"] = "json"
    guardrail = (options.guardrail or {}).get("guardrailIdentifier")
    if guardrail:
        found["aws.bedrock.guardrail.id"] = str(guardrail)
    return found


def of_answer(ending: Ending, stop_reason: str | None, *, begun: bool) -> Attributes:
    """What the end has shown, beside usage and failure. An answer that had `begun` and broke off ends in an error."""
    found: Attributes = {"bedrock_stream.outcome": ending.way, "bedrock_stream.attempts": len(ending.attempts)}
    if ending.request_id is not None:
        found["aws.request_id"] = ending.request_id
    if stop_reason is not None:
        found["gen_ai.response.finish_reasons"] = [finish_reason(stop_reason)]
        found["bedrock_stream.stop_reason"] = stop_reason
    elif begun and ending.way != "finished":
        found["gen_ai.response.finish_reasons"] = ["error"]
    return found


def finish_reason(stop_reason: str) -> str:
    """The conventions' word for a stop reason; the service's own where they have none."""
    return _FINISH_REASONS.get(stop_reason, stop_reason)


def input_tokens(usage: Usage) -> int | None:
    """All input tokens, those of the cache included, as the conventions count them; Bedrock counts those apart."""
    if usage.input_tokens is None:
        return None
    return usage.input_tokens + (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)


def of_usage(usage: Usage) -> Attributes:
    """What the service counted. What it did not count is left out, not zero; so is a cache that was not touched."""
    counts = {
        "gen_ai.usage.input_tokens": input_tokens(usage),
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens or None,
        "gen_ai.usage.cache_write.input_tokens": usage.cache_write_tokens or None,
    }
    return {name: count for name, count in counts.items() if count is not None}


def error_type(error: BaseException | None) -> str:
    """The class's name."""
    return "_OTHER" if error is None else type(error).__name__


def of_failure(error: BaseException | None) -> Attributes:
    """What kind of failure it was."""
    found: Attributes = {"error.type": error_type(error)}
    if isinstance(error, ServiceError):
        if error.code:
            found["bedrock_stream.error_code"] = error.code
        if not error.mid_stream:
            found["http.response.status_code"] = error.status
    return found


def of_retry(attempt: Attempt) -> Attributes:
    """A failed attempt that another one follows."""
    found = of_failure(attempt.error) | of_place(attempt.target)
    found |= {"bedrock_stream.attempt": attempt.number, "bedrock_stream.wait": attempt.wait}
    if attempt.target.region is not None:
        found["cloud.region"] = attempt.target.region
    if isinstance(attempt.error, BedrockStreamError) and attempt.error.request_id is not None:
        found["aws.request_id"] = attempt.error.request_id
    return found


def sentence(error: BaseException | None, *, quoting: bool) -> str:
    """What a failure says of itself; its bare name where it may quote the conversation and that is not wanted."""
    if quoting or not (isinstance(error, _QUOTING) or type(error) is ServiceError):
        return str(error)
    code = error.code if isinstance(error, ServiceError) else ""
    return code or error_type(error)
