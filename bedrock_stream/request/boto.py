"""From boto3's keyword arguments to a `Call`: the four operations that answer a prompt. Pure.

Names and headers are those of ConverseRequest, ConverseStreamRequest, InvokeModelRequest and
InvokeModelWithResponseStreamRequest in the Bedrock Runtime service model. What is inside an argument is checked by the
service. A value of None is the same as an omitted argument.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..dialects.boto import BotoConverse, BotoInvoke, to_wire
from ..dialects.converse.body import REQUEST_MEMBERS
from ..dialects.encoding import Body
from ..dialects.native import check_header
from ..errors import ConfigurationError
from .call import Call, Destination, plan_own_body
from .http import Headers, headers_for
from .models import describe
from .route import Route

__all__ = ("plan_converse", "plan_invoke")

_REASON = "the arguments are boto3's"
_CONVERSE = Route(BotoConverse(), _REASON, ())
_INVOKE = Route(BotoInvoke(), _REASON, ())

_HEADERS = {
    "contentType": "Content-Type",
    "accept": "Accept",
    "trace": "X-Amzn-Bedrock-Trace",
    "guardrailIdentifier": "X-Amzn-Bedrock-GuardrailIdentifier",
    "guardrailVersion": "X-Amzn-Bedrock-GuardrailVersion",
    "performanceConfigLatency": "X-Amzn-Bedrock-PerformanceConfig-Latency",
    "serviceTier": "X-Amzn-Bedrock-Service-Tier",
    "requestMetadata": "X-Amzn-Bedrock-Request-Metadata",
}
_STREAM_HEADERS = {**_HEADERS, "accept": "X-Amzn-Bedrock-Accept"}  # `Accept` is the format of the frames


def plan_converse(
    arguments: Mapping[str, Any], destination: Destination, *, streaming: bool, model: str | None = None
) -> Call:
    """Return the call of Converse or ConverseStream. `model` replaces `modelId`. Raises `ConfigurationError`."""
    given = _check(arguments, REQUEST_MEMBERS)
    called = describe(model or given.pop("modelId"))
    given.pop("modelId", None)
    dialect = _CONVERSE.dialect
    operation = dialect.stream_operation if streaming else dialect.operation
    headers = headers_for(dialect, streaming=streaming)
    try:
        body = to_wire(given)
    except RecursionError:
        raise ConfigurationError("request", "its values are nested too deeply") from None
    return plan_own_body(_CONVERSE, called, operation, body, destination, headers, streaming=streaming)


def plan_invoke(arguments: Mapping[str, Any], destination: Destination, *, streaming: bool) -> Call:
    """Return the call of InvokeModel or InvokeModelWithResponseStream. Raises `ConfigurationError`."""
    given = _check(arguments, ("body", *_HEADERS))
    model, body = describe(given.pop("modelId")), _body(given.pop("body", b""))
    dialect = _INVOKE.dialect
    operation = dialect.stream_operation if streaming else dialect.operation
    headers = _headers(given, streaming=streaming)
    return plan_own_body(_INVOKE, model, operation, body, destination, headers, streaming=streaming)


def _check(arguments: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the arguments that are given. Raises `ConfigurationError` for an unknown one, or without a model."""
    for name in arguments:
        if name not in names and name != "modelId":
            from difflib import get_close_matches  # needed for this message only

            near = get_close_matches(name, ["modelId", *names], 1)
            known = f"known are modelId, {', '.join(names)}"
            raise ConfigurationError(name, "unknown argument", f"did you mean {near[0]}?" if near else known)
    given = {name: value for name, value in arguments.items() if value is not None}
    if "modelId" not in given:
        raise ConfigurationError("modelId", "is missing", "pass the id of a model or an inference profile")
    return given


def _headers(given: Mapping[str, Any], *, streaming: bool) -> Headers:
    headers = dict(headers_for(_INVOKE.dialect, streaming=streaming))
    for name, value in given.items():
        if not isinstance(value, str):
            raise ConfigurationError(name, f"expected a str, got {type(value).__name__}")
        check_header(name, value)
        headers[(_STREAM_HEADERS if streaming else _HEADERS)[name]] = value
    return tuple(headers.items())


def _body(value: Any) -> Body:
    """Return the body as it is sent. Raises `ConfigurationError` for anything but bytes, text or a file of bytes."""
    if callable(read := getattr(value, "read", None)):
        value = read()
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes | bytearray | memoryview):
        problem = f"expected bytes, str or a file of bytes, got {type(value).__name__}"
        raise ConfigurationError("body", problem, "pass json.dumps(...)")
    return Body((bytes(value),))
