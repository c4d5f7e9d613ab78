"""One attempt of a call, until its answer's headers: slot, credentials, signature, sending, status.

The signature is made last, with the slot held, just before the bytes leave: a request that queued for minutes is still
valid. Every attempt signs anew, and a refusal that a new signature cures is not shown to anybody. An answer that is not
what was asked for becomes its error here, whether a service error, a proxy's page or a redirect.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec

from .assembly import Response
from .clocks import Timeouts
from .dialects import Dialect
from .errors import (
    BedrockStreamError,
    FirstContentTimeout,
    FirstEventTimeout,
    NotAnEventStream,
    service_error,
)
from .messages import Message
from .options import Options
from .request import EVENT_STREAM, Request
from .signing import Signer
from .slots import Turn
from .targets import Target

if TYPE_CHECKING:
    from .transport import Answer, Transport

__all__ = ("Call", "open_answer", "request_id")

_ERROR_BODY = 64 * 1024  # more of an error's body than anybody reads
_ERROR_PATIENCE = 5.0  # seconds for it; its status is here already


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


async def open_answer(call: Call, signer: Signer, turn: Turn | None = None) -> Answer:
    """Send once and return the answer, whose status is 200 and whose content type is what was asked for.

    With `turn` it waits for its turn in a lane besides. `signer` is the attempt's own.

    Raises `TransportError`, `ServiceError`, `NotAnEventStream`, `MissingCredentials`, `ConfigurationError`,
    `CredentialsUnavailable`.
    """
    try:
        transport = await call.transport()
        for _ in call.request.body.steps():
            await asyncio.sleep(0)  # a large body must not hold up the other streams
        while True:
            answer = await _send(call, transport, signer, turn)
            try:
                await _check(call, answer)
            except BedrockStreamError as error:
                answer.close()
                error.request_id = request_id(answer)
                if not await signer.cures(error, answer.header("Date")):
                    raise
            except BaseException:
                answer.close()
                raise
            else:
                return answer
    except BedrockStreamError as error:
        call.describe(error)
        raise


def request_id(answer: Answer) -> str | None:
    """The service's id of the request."""
    return answer.header("x-amzn-RequestId")


async def _send(call: Call, transport: Transport, signer: Signer, turn: Turn | None) -> Answer:
    timeouts = call.timeouts
    first, content = timeouts.first_event, timeouts.first_content if call.streams else None
    sooner = content is not None and (first is None or content < first)
    try:
        return await transport.open(
            call.request,
            lambda: signer.authorize(call.request, transport.ask),
            pool=timeouts.pool,
            connect=timeouts.connect,
            headers_within=content if sooner else first,
            turn=turn,
        )
    except FirstEventTimeout as error:
        if sooner:
            raise FirstContentTimeout(error.limit, error.elapsed, detail="no headers came") from error
        raise


async def _check(call: Call, answer: Answer) -> None:
    content_type = answer.header("Content-Type")
    kind = (content_type or "").partition(";")[0].strip().lower()
    if answer.status >= 400:
        body = await _read_some(call, answer, _ERROR_BODY)
        raise _http_error(answer, body)
    expected = EVENT_STREAM if call.streams else "application/json"
    if answer.status != 200 or kind not in ("", expected):  # a proxy may have dropped the header
        body = await _read_some(call, answer, 200)
        raise NotAnEventStream(answer.status, content_type, body[:200])


async def _read_some(call: Call, answer: Answer, enough: int) -> bytes:
    """The beginning of a body; whatever has come when it breaks off or dawdles."""
    body = b""
    try:
        async with asyncio.timeout(min(call.timeouts.idle or _ERROR_PATIENCE, _ERROR_PATIENCE)):
            while len(body) < enough and (data := await answer.read()):
                body += data
    except (BedrockStreamError, TimeoutError):
        pass  # the status alone tells enough
    return body


def _http_error(answer: Answer, body: bytes) -> BedrockStreamError:
    """A service error of an HTTP answer. Type: header, then body; a proxy may have left neither."""
    try:
        facts = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        facts = {"message": body[:200].decode("utf-8", "replace")}
    named = answer.header("x-amzn-ErrorType") or facts.get("code") or facts.get("__type") or ""
    code = str(named).partition(":")[0].rpartition("#")[2].partition(",")[0].strip()
    message = facts.get("message") or facts.get("Message") or ""
    error = service_error(code or None, str(message), answer.status, extra=facts)
    error.retry_after = _retry_after(answer)
    return error


def _retry_after(answer: Answer) -> float | None:
    """Seconds to wait, as the service says: its own header in milliseconds, or HTTP's in seconds or as a date."""
    own, standard = answer.header("x-amz-retry-after"), answer.header("Retry-After")
    try:
        if own is not None:
            seconds = int(own) / 1000
        elif standard is None:
            return None
        elif standard.strip().isdigit():
            seconds = float(standard)
        else:
            sent = answer.header("Date") or ""
            seconds = (parsedate_to_datetime(standard) - parsedate_to_datetime(sent)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
