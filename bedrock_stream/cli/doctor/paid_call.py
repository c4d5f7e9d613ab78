"""The one request of the doctor that costs money: the fewest tokens that the model takes, and the time to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from time import perf_counter

from ...client.client import Client
from ...errors import BedrockStreamError
from ...observing import Attempt, Ending, Subject
from ...types.events import Event, Metadata, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from ...types.settings import RetryPolicy, Timeouts
from .facts import Answer

__all__ = ("call_model",)

_LIMITS = Timeouts(credentials=15, connect=10, pool=10, first_event=60, idle=30, total=90)
_ONCE = RetryPolicy(max_attempts=1)
_PROMPT = "Hi"


class _FirstBytes:
    """Notes when the first bytes of a body came: a stream holds its first event back until the next one."""

    at: float | None = None

    def watch(self, subject: Subject) -> _FirstBytes:
        """See `observing.Observer`."""
        return self

    def received(self, data: bytes) -> None:
        """See `observing.WireObservation`."""
        if self.at is None:
            self.at = perf_counter()

    def began(self) -> None:
        """See `observing.Observation`, as for the next four."""

    def failed(self, attempt: Attempt) -> None: ...

    def first(self, attempt: Attempt) -> None: ...

    def came(self, events: Iterable[Event]) -> None: ...

    def ended(self, ending: Ending) -> None: ...


async def call_model(
    model: str,
    *,
    region: str | None,
    profile: str | None,
    endpoint_url: str | None,
    clock: Callable[[], datetime],
) -> Answer:
    """Ask a model for as few tokens as it takes, exactly as a program would with these settings."""
    max_tokens, first_frame = 1, _FirstBytes()
    first_content: float | None = None
    usage, request_id = Usage(), None
    began = perf_counter()
    try:
        async with Client(
            region=region, profile=profile, endpoint_url=endpoint_url, timeouts=_LIMITS, retry=_ONCE, clock=clock
        ) as client:
            max_tokens = client.facts(model).min_max_tokens
            async with client.stream(model, _PROMPT, max_tokens=max_tokens) as stream:
                stream.observe(first_frame)
                began = perf_counter()
                async for event in stream:
                    if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta) and first_content is None:
                        first_content = perf_counter() - began
                    elif isinstance(event, Metadata) and event.usage is not None:
                        usage = usage.merged(event.usage)
                request_id = stream.request_id
    except BedrockStreamError as error:
        return Answer(max_tokens=max_tokens, request_id=error.request_id, error=error)
    return Answer(
        max_tokens=max_tokens,
        first_event=None if first_frame.at is None else first_frame.at - began,
        first_content=first_content,
        total=perf_counter() - began,
        usage=usage,
        request_id=request_id,
    )
