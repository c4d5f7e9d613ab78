"""Traces and metrics in OpenTelemetry's conventions for generative AI. Needs `pip install "bedrock-stream[otel]"`.

    stop = instrument()  # every client of the process, with the global providers
    client = Client(observers=[OpenTelemetry(tracer_provider=provider)])  # or a single client

Each call is one span, `chat {model}`, from the first attempt to the end of the call, however it ends. Its parent is the
span that was current when the call was made. No span is attached to a context, so none can leak into the caller's.
Message content is recorded only with `capture_content=True` or if the environment variable
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` enables it; credentials are never recorded.

Conventions: https://github.com/open-telemetry/semantic-conventions-genai, version 0.1.0, the first one outside the
general conventions; its status is "development". Attributes that it does not define begin with `bedrock_stream.`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import ConfigurationError
from ...observing import observe

try:
    from .observer import OpenTelemetry
except ImportError as _error:
    # Only a missing dependency gets a remedy; any other failed import is a bug.
    if not (_error.name or "").startswith("opentelemetry"):
        raise
    raise ConfigurationError(
        "otel", "opentelemetry-api is not installed", 'pip install "bedrock-stream[otel]"'
    ) from None

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ("OpenTelemetry", "instrument")

_stop: Callable[[], None] | None = None


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    capture_content: bool | None = None,
) -> Callable[[], None]:
    """Trace and measure the calls of every client from now on. Returns a function that ends the instrumentation.

    Another call replaces the previous instrumentation, so that no call is counted twice. For the parameters, see
    `OpenTelemetry`.
    """
    global _stop
    observer = OpenTelemetry(
        tracer_provider=tracer_provider, meter_provider=meter_provider, capture_content=capture_content
    )
    if _stop is not None:
        _stop()
    _stop = observe(observer)
    return _stop
