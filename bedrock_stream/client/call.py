"""One call to one target, before anything is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING

import msgspec

from ..auth.signer import Signer
from ..dialects import Dialect
from ..errors import BedrockStreamError
from ..request.http import EVENT_STREAM, Request
from ..types.messages import Message
from ..types.options import Options
from ..types.response import Response
from ..types.settings import Target, Timeouts

if TYPE_CHECKING:
    from ..transport.http_response import HttpResponse
    from ..transport.transport import Transport

__all__ = (
    "Call",
    "request_id",
)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is fixed about one call to one target before anything is sent."""

    request: Request
    dialect: Dialect
    model: str
    region: str
    target: Target
    """Where it goes, resolved, without keys."""
    account: Hashable = None
    """Tells targets apart that differ in their keys alone."""
    timeouts: Timeouts
    keep: bool
    finish: Callable[[Response], Response] | None = None
    """The last touch on a whole response."""
    transport: Callable[[], Awaitable[Transport]]
    """Gives the running loop's transport."""
    signer: Callable[[], Signer]
    """Gives what signs one attempt."""
    operation: str
    streaming: bool
    messages: tuple[Message, ...] = ()
    """The conversation as it is sent; empty where the body is the caller's own."""
    options: Options | None = None
    """What the caller said; None where the body is the caller's own."""
    adaptive: bool = False
    """Whether no more are sent at once than the model takes without throttling."""

    @property
    def streams(self) -> bool:
        """Whether the answer comes as an event stream."""
        return ("Accept", EVENT_STREAM) in self.request.headers

    def finished(self, response: Response) -> Response:
        """The response with the last touch."""
        return response if self.finish is None else self.finish(response)

    def describe(self, error: BedrockStreamError, request_id: str | None = None) -> None:
        """Put on an error what is known of the call."""
        error.model, error.region = self.model, self.region
        error.request_id = error.request_id or request_id


def request_id(answer: HttpResponse) -> str | None:
    """The service's id of the request."""
    return answer.header("x-amzn-RequestId")
