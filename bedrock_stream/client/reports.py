"""What a client reports: its numbers (`Stats`), what a call would send (`Explanation`), and a call to its observers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ..observing import Subject, batch_row
from ..request.call import Call

if TYPE_CHECKING:  # a client without quotas does not load them
    from ..transport.quota import QuotaStats

__all__ = ("Explanation", "Stats", "explain_call", "subject_of")


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """A client's numbers, over all its event loops."""

    open_streams: int
    """Connection slots that are taken now."""
    waiting: int
    """Requests that wait for a slot now."""
    max_connections: int
    """Connection slots for each event loop."""
    attempts: int
    """Requests so far, retries included."""
    retries: int
    """Attempts that followed a failed one, those at other targets included."""
    retries_left: int
    """Retries that the client's budget allows now."""
    bytes_received: int
    """Bytes of response bodies so far."""
    lanes: Mapping[tuple[str, str], int]
    """With `adaptive_concurrency` or `RetryPolicy.patience`: how many requests each region and model takes at once, as
    learned."""
    quotas: Mapping[str, QuotaStats] = {}
    """The numbers of each `Quota` by its name in `quotas=`."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a call would send and why, without sending it; secrets are masked. Returned by `Client.explain`."""

    model: str
    family: str | None
    route: str
    """The API: `converse`, `invoke`, `messages`, `chat` or `responses`."""
    reason: str
    """Why this route."""
    region: str
    method: str
    url: str
    endpoint_source: str
    """`region`, or the argument, variable or setting that gave the endpoint."""
    auth: str
    """`bearer` or `sigv4`, and the source of the credentials."""
    headers: dict[str, str]
    body: dict[str, Any]
    changes: tuple[str, ...] = ()
    """What was changed of the caller's arguments, in sentences: options left out, history normalized."""


def explain_call(call: Call, scheme: str, source: str) -> Explanation:
    """Return what a call sends; `scheme` and `source` are those of its credentials."""
    request = call.request
    masked = "Bearer ..." if scheme == "bearer" else "AWS4-HMAC-SHA256 Credential=..., Signature=..."
    return Explanation(
        model=call.model.id,
        family=call.model.family,
        route=call.dialect.route,
        reason=call.route.reason,
        region=call.region,
        method=request.method,
        url=request.url,
        endpoint_source=call.destination.endpoint.source,
        auth=f"{scheme}, {source}",
        headers={**dict(request.headers), "Authorization": masked},
        body=msgspec.json.decode(request.body.data),
        changes=call.changes,
    )


def subject_of(call: Call) -> Subject:
    """Return a call as its observers receive it."""
    batch, key = batch_row.get() or (None, None)
    return Subject(
        model=call.model.id,
        route=call.dialect.route,
        operation=call.operation,
        streaming=call.streaming,
        target=call.target,
        options=call.options,
        messages=call.messages,
        body=lambda: call.request.body.data,
        batch=batch,
        batch_key=key,
    )
