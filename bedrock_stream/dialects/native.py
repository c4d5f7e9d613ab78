"""Request parts that the native formats share: options that are sent as headers, and the optional members of a body.

Source: InvokeModelRequest and InvokeModelWithResponseStreamRequest in the Bedrock Runtime service model.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import ConfigurationError
from ..types.options import Options

__all__ = ("check_header", "guardrail_headers", "native_body", "native_headers", "with_fields")

_GUARDRAIL_HEADERS = {
    "guardrailIdentifier": "X-Amzn-Bedrock-GuardrailIdentifier",
    "guardrailVersion": "X-Amzn-Bedrock-GuardrailVersion",
    "trace": "X-Amzn-Bedrock-Trace",
}

_MERGED = ("output_config", "reasoning")


def native_headers(options: Options) -> tuple[tuple[str, str], ...]:
    """Return the headers for guardrail, performance, service tier, project and request metadata.

    Raises `ConfigurationError` for a value that is not printable ASCII.
    """
    headers = dict(guardrail_headers(options))
    if options.performance is not None:
        headers["X-Amzn-Bedrock-PerformanceConfig-Latency"] = options.performance
    if options.service_tier is not None:
        headers["X-Amzn-Bedrock-Service-Tier"] = options.service_tier
    if options.project is not None:
        headers["X-Amzn-Bedrock-ProjectIdentifier"] = options.project
    if options.request_metadata is not None:
        # The service reads JSON text here. json.dumps escapes what is not ASCII, unlike msgspec.
        headers["X-Amzn-Bedrock-Request-Metadata"] = json.dumps(options.request_metadata)
    for name, value in headers.items():
        check_header(name, value)
    return tuple(headers.items())


def guardrail_headers(options: Options) -> tuple[tuple[str, str], ...]:
    """Return the headers for a guardrail. Raises `ConfigurationError` for a value that is not printable ASCII."""
    guardrail = options.guardrail or {}
    headers = {header: str(guardrail[key]) for key, header in _GUARDRAIL_HEADERS.items() if guardrail.get(key)}
    if guardrail.get("trace"):  # `enabled` in a Converse body, `ENABLED` in a header
        headers["X-Amzn-Bedrock-Trace"] = headers["X-Amzn-Bedrock-Trace"].upper()
    for name, value in headers.items():
        check_header(name, value)
    return tuple(headers.items())


def check_header(name: str, value: str) -> None:
    """Raise `ConfigurationError` for a value that is not printable ASCII."""
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(name, f"{value!r} is not a valid header value", "use printable ASCII")


def native_body(body: dict[str, Any], options: Options) -> dict[str, Any]:
    """Return a native body with the guardrail settings that have no header. The caller's member takes precedence."""
    # E.g. `streamProcessingMode` and `tagSuffix`.
    rest = {key: value for key, value in (options.guardrail or {}).items() if key not in _GUARDRAIL_HEADERS}
    return {"amazon-bedrock-guardrailConfig": rest, **body} if rest else body


def with_fields(body: dict[str, Any], fields: dict[str, Any], options: Options) -> dict[str, Any]:
    """Return a body with those fields that are set, i.e. neither None nor `[]`.

    `additional_model_request_fields` and `extra` take precedence, in this order. Some members are merged, since they
    hold options of different origin: Claude's effort and the format of its answer, GPT's effort and its summary.
    """
    present = {name: value for name, value in fields.items() if value not in (None, [])}
    additional, extra = options.additional_model_request_fields or {}, options.extra
    merged = {**body, **present, **additional, **extra}
    for name in _MERGED:
        one, two = additional.get(name), extra.get(name)
        if isinstance(one, dict) and isinstance(two, dict):
            merged[name] = {**one, **two}
    return merged
