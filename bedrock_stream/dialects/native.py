"""What all native forms share on the request's side: options that travel as headers there.

Source: InvokeModelRequest and InvokeModelWithResponseStreamRequest in the Bedrock Runtime service model.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import ConfigurationError
from ..types.options import Options

__all__ = ("native_body", "native_headers")

_GUARDRAIL_HEADERS = {
    "guardrailIdentifier": "X-Amzn-Bedrock-GuardrailIdentifier",
    "guardrailVersion": "X-Amzn-Bedrock-GuardrailVersion",
    "trace": "X-Amzn-Bedrock-Trace",
}


def native_headers(options: Options) -> tuple[tuple[str, str], ...]:
    """Guardrail, performance, service tier and request metadata as headers.

    Raises `ConfigurationError` for what cannot stand in one.
    """
    guardrail = options.guardrail or {}
    headers = {header: str(guardrail[key]) for key, header in _GUARDRAIL_HEADERS.items() if guardrail.get(key)}
    if guardrail.get("trace"):  # `enabled` in a body, `ENABLED` in a header
        headers["X-Amzn-Bedrock-Trace"] = headers["X-Amzn-Bedrock-Trace"].upper()
    if options.performance is not None:
        headers["X-Amzn-Bedrock-PerformanceConfig-Latency"] = options.performance
    if options.service_tier is not None:
        headers["X-Amzn-Bedrock-Service-Tier"] = options.service_tier
    if options.request_metadata is not None:
        headers["X-Amzn-Bedrock-Request-Metadata"] = json.dumps(options.request_metadata)
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError(name, f"{value!r} cannot stand in a header", "use printable ASCII")
    return tuple(headers.items())


def native_body(body: dict[str, Any], options: Options) -> dict[str, Any]:
    """A native body with the part of the guardrail's configuration that belongs there; `extra` has the last word."""
    rest = {key: value for key, value in (options.guardrail or {}).items() if key not in _GUARDRAIL_HEADERS}
    return {"amazon-bedrock-guardrailConfig": rest, **body} if rest else body
