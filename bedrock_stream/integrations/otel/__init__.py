"""Traces and metrics by OpenTelemetry's conventions for generative AI. Needs `pip install "bedrock-stream[otel]"`.

    stop = instrument()  # every client of the process, by the global providers
    client = Client(observers=[OpenTelemetry(tracer_provider=provider)])  # or one client alone

One span for each call, `chat {model}`, from the first attempt to the one end, whatever the way out; its parent is
whatever was current where the call was made. Nothing is attached to any context, so nothing can leak into the caller's.
What was said is recorded only where that is asked for, by `capture_content=True` or by the environment's
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`; keys never.

Conventions: https://github.com/open-telemetry/semantic-conventions-genai, version 0.1.0, the first since they left the
general ones; they are in development. Where they have no word, ours begins with `bedrock_stream.`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import ConfigurationError
from ...observing import observe

try:
    from .observer import OpenTelemetry
except ImportError as _error:
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
    """Trace and measure the calls of every client from now on. Returns what ends that.

    Called again, it takes the place of what it did before, so that no call is counted twice. See `OpenTelemetry`.
    """
    global _stop
    observer = OpenTelemetry(
        tracer_provider=tracer_provider, meter_provider=meter_provider, capture_content=capture_content
    )
    if _stop is not None:
        _stop()
    _stop = observe(observer)
    return _stop
