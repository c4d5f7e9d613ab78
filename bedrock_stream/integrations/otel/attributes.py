"""The attributes of a call, according to the conventions. Pure: no span, no clock.

`error.type` is the class name in `bedrock_stream.errors`: a value of low cardinality, and the same for an HTTP status
and for an exception in the stream. The service's own code is in `bedrock_stream.error_code`.
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
from ..usage import total_input_tokens

__all__ = (
    "Attributes",
    "error_attributes",
    "error_type",
    "finish_reason",
    "operation_name",
    "request_attributes",
    "response_attributes",
    "retry_attributes",
    "server_attributes",
    "status_description",
    "usage_attributes",
)

Attributes: TypeAlias = dict[str, str | bool | int | float | list[str]]

_DEFAULT_PORTS = {"http": 80, "https": 443}
# The conventions' well-known values of `gen_ai.response.finish_reasons`.
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
# Errors whose messages may quote the conversation.
_MAY_QUOTE_CONTENT = (ValidationFailed, ModelError, ModelStreamError, NotAnEventStream, ToolInputError)


def operation_name(subject: Subject) -> str | None:
    """Return the conventions' name of an operation; None for one that does no inference."""
    if subject.operation == "count-tokens":
        return None
    # A raw InvokeModel call does not say what it is for; Bedrock's embedding models have "embed" in their ids.
    if subject.options is None and "embed" in subject.model:
        return "embeddings"
    return "chat"


def server_attributes(target: Target) -> Attributes:
    """Return the address of the endpoint that requests are sent to."""
    attributes: Attributes = {}
    address = urlsplit(target.endpoint_url or "")
    if address.hostname:
        attributes["server.address"] = address.hostname
        attributes["server.port"] = address.port or _DEFAULT_PORTS.get(address.scheme, 443)
    return attributes


def request_attributes(subject: Subject) -> Attributes:
    """Return the attributes of the request that only spans have."""
    attributes: Attributes = {"bedrock_stream.route": subject.route}
    if subject.target.region is not None:
        attributes["cloud.region"] = subject.target.region
    # Conventions: set only for a streaming request; absent means False.
    if subject.streaming:
        attributes["gen_ai.request.stream"] = True
    if subject.batch_key is not None:
        attributes["bedrock_stream.batch.key"] = subject.batch_key
    if subject.options is not None:
        attributes |= _option_attributes(subject.options)
    return attributes


def _option_attributes(options: Options) -> Attributes:
    attributes: Attributes = {}
    if options.max_tokens is not None:
        attributes["gen_ai.request.max_tokens"] = options.max_tokens
    if options.top_k is not None:
        attributes["gen_ai.request.top_k"] = options.top_k
    for name in ("temperature", "top_p"):
        value = getattr(options, name)
        if value is not None:
            attributes[f"gen_ai.request.{name}"] = float(value)
    if options.stop_sequences:
        attributes["gen_ai.request.stop_sequences"] = list(options.stop_sequences)
    if options.output_schema is not None:
        attributes["gen_ai.output.type"] = "json"
    guardrail = (options.guardrail or {}).get("guardrailIdentifier")
    if guardrail:
        attributes["aws.bedrock.guardrail.id"] = str(guardrail)
    return attributes


def response_attributes(ending: Ending, stop_reason: str | None, *, started: bool) -> Attributes:
    """Return the attributes of the response, except for usage and error. `started`: content was received."""
    attributes: Attributes = {"bedrock_stream.outcome": ending.way, "bedrock_stream.attempts": len(ending.attempts)}
    if ending.request_id is not None:
        attributes["aws.request_id"] = ending.request_id
    if stop_reason is not None:
        attributes["gen_ai.response.finish_reasons"] = [finish_reason(stop_reason)]
        attributes["bedrock_stream.stop_reason"] = stop_reason
    # A response that started and was not completed has no stop reason; the conventions' value for it is "error".
    elif started and ending.way != "finished":
        attributes["gen_ai.response.finish_reasons"] = ["error"]
    return attributes


def finish_reason(stop_reason: str) -> str:
    """Return the conventions' finish reason; the service's stop reason if they define none for it."""
    return _FINISH_REASONS.get(stop_reason, stop_reason)


def usage_attributes(usage: Usage) -> Attributes:
    """Return the token counts. Counts that the service did not report are omitted, not zero."""
    counts = {
        # The conventions include cached tokens here.
        "gen_ai.usage.input_tokens": total_input_tokens(usage),
        "gen_ai.usage.output_tokens": usage.output_tokens,
        # Zero means that the cache was not used.
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens or None,
        "gen_ai.usage.cache_write.input_tokens": usage.cache_write_tokens or None,
    }
    return {name: count for name, count in counts.items() if count is not None}


def error_type(error: BaseException | None) -> str:
    """Return the name of an error's class."""
    return "_OTHER" if error is None else type(error).__name__


def error_attributes(error: BaseException | None) -> Attributes:
    """Return the attributes that classify an error."""
    attributes: Attributes = {"error.type": error_type(error)}
    if isinstance(error, ServiceError):
        if error.code:
            attributes["bedrock_stream.error_code"] = error.code
        # An exception in the stream has no status of its own: the response's was 200.
        if not error.mid_stream:
            attributes["http.response.status_code"] = error.status
    return attributes


def retry_attributes(attempt: Attempt) -> Attributes:
    """Return the attributes of a failed attempt that is retried."""
    attributes = error_attributes(attempt.error) | server_attributes(attempt.target)
    attributes |= {"bedrock_stream.attempt": attempt.number, "bedrock_stream.wait": attempt.wait}
    if attempt.target.region is not None:
        attributes["cloud.region"] = attempt.target.region
    if isinstance(attempt.error, BedrockStreamError) and attempt.error.request_id is not None:
        attributes["aws.request_id"] = attempt.error.request_id
    return attributes


def status_description(error: BaseException | None, *, capture_content: bool) -> str:
    """Return an error's message, or its code or type if the message may quote content that is not to be captured."""
    if capture_content or not (isinstance(error, _MAY_QUOTE_CONTENT) or type(error) is ServiceError):
        return str(error)
    code = error.code if isinstance(error, ServiceError) else ""
    return code or error_type(error)
