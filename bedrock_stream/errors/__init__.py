"""Every exception of this library, and the mapping from service error codes to classes.

    BedrockStreamError
    ├── ConfigurationError          an argument or setting is invalid; raised at the call, before anything is sent
    │   ├── MissingCredentials      no provider had credentials
    │   ├── UnsupportedOperation    this model, route or kind of credentials does not support the request
    │   └── InvalidRequest          a request that a browser or client sent to this program cannot be converted
    ├── CredentialsUnavailable      a credential provider failed
    ├── TransportError              the network failed, or a time limit was reached
    │   ├── ConnectionFailed        no byte of the response was read
    │   ├── TimeLimitError          ConnectTimeout, PoolTimeout, FirstEventTimeout, FirstContentTimeout, IdleTimeout,
    │   │                           TotalTimeout, UnreadTimeout
    │   └── ClientClosed            the client was closed while the stream was open, or before it was opened
    ├── InvalidFrame                the bytes violate the event-stream format
    │   └── ChecksumMismatch, FrameSizeError, InvalidHeader
    ├── NotAnEventStream            the response is not Bedrock's: a proxy's error page, a wrong endpoint
    ├── StreamInterrupted           the response had begun, and ended before the message was complete
    ├── ToolInputError              the message is complete, but the input of a tool call is not a JSON object
    ├── ToolRoundsExceeded          the model still calls tools after the last allowed round
    ├── RelayFull                   a relay holds as many answers as it may
    └── ServiceError                an error from Bedrock: the same class as an HTTP status and inside a stream
        ├── AccessDenied, ExpiredToken, InvalidSignature (SignatureExpired)
        ├── ValidationFailed (ContextWindowExceeded), ResourceNotFound
        ├── Throttled, QuotaExceeded, ModelNotReady
        └── ModelTimeout, ModelError, ModelStreamError, InternalServerError, ServiceUnavailable

Three of them are also what Python's own calls raise: `ConfigurationError` is a `ValueError`, `ConnectionFailed` a
`ConnectionError`, and `TimeLimitError` a `TimeoutError`. The last two are therefore `OSError`s, without an `errno`.

The details are attributes, and the message is built from them. Neither contains a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..types.events import Usage
    from ..types.response import Response

# fmt: off
__all__ = (
    "BedrockStreamError",
    "ConfigurationError", "MissingCredentials", "UnsupportedOperation", "InvalidRequest", "CredentialsUnavailable",
    "TransportError", "ConnectionFailed", "ClientClosed",
    "TimeLimitError", "ConnectTimeout", "PoolTimeout", "FirstEventTimeout", "FirstContentTimeout", "IdleTimeout",
    "TotalTimeout", "UnreadTimeout",
    "InvalidFrame", "ChecksumMismatch", "FrameSizeError", "InvalidHeader",
    "NotAnEventStream", "StreamInterrupted", "ToolInputError", "ToolRoundsExceeded", "RelayFull",
    "ServiceError", "AccessDenied", "ExpiredToken", "InvalidSignature", "SignatureExpired",
    "ValidationFailed", "ContextWindowExceeded", "ResourceNotFound", "Throttled", "QuotaExceeded", "ModelNotReady",
    "ModelTimeout", "ModelError", "ModelStreamError", "InternalServerError", "ServiceUnavailable", "service_error",
)
# fmt: on


class BedrockStreamError(Exception):
    """Base class of every error that this library raises.

    Errors raised after the response headers were received carry the details known at that time.
    """

    request_id: str | None = None
    """The service's request id, to quote to AWS support."""
    model: str | None = None
    """The model id or ARN as sent."""
    region: str | None = None
    """The region that the request was signed for."""
    events_received: int = 0
    """Number of events delivered to the caller."""
    partial: Response | None = None
    """The `Response` assembled so far, or None if nothing was assembled."""
    retryable: bool = False
    """True if the same request may succeed later."""
    retry_after: float | None = None
    """Seconds to wait before a retry, as requested by the service."""
    closed = False
    """True if this program closed the stream, the tool run or the client, so that nothing failed."""

    def __reduce__(self) -> tuple[Any, ...]:
        from .nesting import reduce_error

        return reduce_error(self)


def _sentence(start: str, rest: str) -> str:
    """Join the start of a message and the words of another program, which may be missing."""
    return f"{start}: {rest}" if rest.strip() else start


# -------------------------------------------------------------------------------------------- arguments and credentials


class ConfigurationError(BedrockStreamError, ValueError):
    """An invalid argument or setting. Raised at the call, before anything is sent. It is a `ValueError`."""

    def __init__(self, argument: str, problem: str, remedy: str = "") -> None:
        super().__init__(f"{argument}: {problem}" + (f"; {remedy}" if remedy else ""))
        self.argument = argument
        """Name or path of the argument: `messages[3].content[0]`."""
        self.problem = problem
        """The problem, including the value unless it is secret."""
        self.remedy = remedy
        """The correct usage; empty if `problem` contains it."""


class MissingCredentials(ConfigurationError):
    """Neither an API key nor IAM credentials were found: what to do first, then every place that was searched."""

    def __init__(self, argument: str, problem: str, remedy: str = "", searched: str = "") -> None:
        super().__init__(argument, problem, remedy)
        self.searched = searched
        """The places that were searched, and why the last one had no credentials; empty if there was only one."""
        if searched:
            self.args: tuple[Any, ...] = (f"{self.args[0]}; searched: {searched}",)


class UnsupportedOperation(ConfigurationError):
    """The model, the route or the kind of credentials does not support the request."""


class InvalidRequest(ConfigurationError):
    """A request that a client sent to this program cannot be converted into a call. `member` is the path of what is
    wrong in it, `status` the HTTP status for it (400 or 413), and `code` a word for the cause, or empty."""

    def __init__(
        self, argument: str, problem: str, remedy: str = "", *, status: int = 400, code: str = "", member: str = ""
    ) -> None:
        super().__init__(argument, problem, remedy)
        self.status, self.code, self.member = status, code, member or argument


class CredentialsUnavailable(BedrockStreamError):
    """A credential provider failed: it was unreachable or too slow, or returned an error or an invalid response."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(_sentence(source, reason))
        self.source = source
        """Description of the provider."""
        self.reason = reason
        """The cause, without secrets."""


# ---------------------------------------------------------------------------------------------- network and time limits


class TransportError(BedrockStreamError):
    """A network failure, or a time limit that was reached."""


class ConnectionFailed(TransportError, ConnectionError):
    """The connection could not be opened, or broke before any byte of the response was read.

    It is a `ConnectionError`. The error of the operating system, where there is one, is its `__cause__`.
    """

    retryable = True
    dropped: bool = False
    """True if an open connection broke before the head of a response; one that was dead before is replaced unseen."""


class TimeLimitError(TransportError, TimeoutError):
    """A limit of `Timeouts` was reached. Each limit has its own subclass. All are `TimeoutError`s."""

    clock: str = "time"
    """Name of the limit: the field of `Timeouts`."""

    def __init__(self, limit: float, elapsed: float, bytes_received: int = 0, detail: str = "") -> None:
        super().__init__(
            f"{self.clock} limit of {limit:g} s reached after {elapsed:.1f} s, {bytes_received} bytes received"
            + (f": {detail}" if detail else "")
        )
        self.limit = limit
        """The limit in seconds."""
        self.elapsed = elapsed
        """Seconds waited."""
        self.bytes_received = bytes_received
        """Bytes of the response body received so far."""


class PoolTimeout(TimeLimitError):
    """No connection slot became free in time; the message contains the number of slots and of open streams."""

    clock = "pool"


class ConnectTimeout(TimeLimitError):
    """Name lookup, TCP and TLS handshakes together took too long."""

    clock = "connect"
    retryable = True


class FirstEventTimeout(TimeLimitError):
    """The request was sent, and no event was received in time."""

    clock = "first_event"


class FirstContentTimeout(TimeLimitError):
    """The request was sent, and no content was received in time."""

    clock = "first_content"


class IdleTimeout(TimeLimitError):
    """The stream had begun, and no byte was received for too long."""

    clock = "idle"


class TotalTimeout(TimeLimitError):
    """The whole call took too long (this limit is off by default)."""

    clock = "total"


class UnreadTimeout(TimeLimitError):
    """The caller stopped reading the stream without closing it, so its connection was released."""

    clock = "unread"


class ClientClosed(TransportError):
    """The client was closed before the stream was opened, or while it was open."""

    closed = True


# --------------------------------------------------------------------------------------- invalid or incomplete response


class InvalidFrame(BedrockStreamError):
    """The bytes violate the event-stream format, or a payload is not what the frame's headers declare."""

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (frame at byte {offset} of the stream)")
        self.offset = offset
        """Position of the frame in the stream, in bytes."""


class ChecksumMismatch(InvalidFrame):
    """A CRC-32 does not match: the bytes were damaged in transit, or are not an event stream."""

    def __init__(self, part: str, expected: int, computed: int, *, offset: int | None = None) -> None:
        super().__init__(f"{part} checksum is 0x{expected:08x}, computed 0x{computed:08x}", offset=offset)
        self.part = part
        """`prelude` or `message`."""
        self.expected = expected
        self.computed = computed


class FrameSizeError(InvalidFrame):
    """A declared length is impossible, or exceeds the limit."""


class InvalidHeader(InvalidFrame):
    """A header block violates the format, or a header cannot be encoded."""


class NotAnEventStream(BedrockStreamError):
    """The response is not from Bedrock: its content type or its body is of another kind."""

    def __init__(self, status: int, content_type: str | None, body: bytes, content_encoding: str | None = None) -> None:
        body = body[:200]
        encoded = "" if content_encoding is None else f" and Content-Encoding {content_encoding[:100]!r}"
        super().__init__(
            f"expected a Bedrock response, got HTTP {status} with content type {content_type!r}{encoded}: {body!r}"
        )
        self.status = status
        self.content_type = content_type
        self.body = body
        """The first 200 bytes."""


class StreamInterrupted(BedrockStreamError):
    """The response had begun, and its body ended, was reset or was closed before the message was complete."""

    retryable = True

    def __init__(self, message: str = "", *, closed: bool = False) -> None:
        super().__init__(message)
        self.closed = closed


class ToolInputError(BedrockStreamError):
    """The message is complete, but the input of a tool call is not a JSON object. `{}` never replaces such an input."""

    def __init__(self, name: str, call_id: str, raw: str, stop_reason: str | None, usage: Usage | None = None) -> None:
        super().__init__(
            f"input of tool call {name!r} ({call_id}) is not a JSON object: {raw[:200]!r} (stop reason {stop_reason!r})"
        )
        self.name = name
        self.call_id = call_id
        self.raw = raw
        """The text of the input as received."""
        self.stop_reason = stop_reason
        """`max_tokens` means that the limit cut the input off."""
        self.usage = usage


class ToolRoundsExceeded(BedrockStreamError):
    """`run_tools` reached its limit of rounds and the model still calls tools; `partial` is the last response."""

    def __init__(self, rounds: int) -> None:
        super().__init__(f"the model still calls tools after {rounds} rounds")
        self.rounds = rounds


class RelayFull(BedrockStreamError):
    """A `Relay` holds as many answers as it may, and all of them are running."""


# ------------------------------------------------------------------------------------------------------- service errors


class ServiceError(BedrockStreamError):
    """An error returned by Bedrock. The base class itself is used for error codes without a class of their own."""

    response: dict[str, Any]
    """`{"Error": {"Code", "Message"}, "ResponseMetadata"}`; only the errors of calls in boto3's form have it."""
    operation_name: str
    """`ConverseStream` and the like; only the errors of calls in boto3's form have it."""

    def __init__(
        self, code: str, message: str, status: int, *, mid_stream: bool = False, extra: Mapping[str, Any] | None = None
    ) -> None:
        named = bool(code) and code != str(status)  # gateways put the status into the code
        super().__init__(_sentence(f"{code} (HTTP {status})" if named else f"HTTP {status}", message))
        self.code = code
        """The service's error code, such as `ThrottlingException`; empty if the response has none."""
        self.message = message
        """The service's own message."""
        self.status = status
        """The HTTP status; for errors inside a stream or with HTTP 200, that of the code in the service model."""
        self.mid_stream = mid_stream
        """True if the error was received as a frame, after HTTP 200."""
        extra = extra or {}
        self.original_status: int | None = extra.get("originalStatusCode")
        """The status that the model behind Bedrock returned, if reported."""
        self.original_message: str | None = extra.get("originalMessage")
        self.resource_name: str | None = extra.get("resourceName")


class AccessDenied(ServiceError):
    """Missing permission, no access to the model, or unknown credentials."""


class ExpiredToken(ServiceError):
    """The session token has expired."""


class InvalidSignature(ServiceError):
    """The signature does not match the one that the service computed."""


class SignatureExpired(InvalidSignature):
    """The request's date differs from the service's time by more than five minutes, also after signing again."""

    age: float | None = None
    """Seconds between signing and the refusal."""
    skew: float | None = None
    """Seconds that the service's clock is ahead of the local one, as far as known."""

    def explain(self, age: float, skew: float, why: str) -> None:
        """Set `age` and `skew`, and add them, the cause and the possible fixes to the message."""
        self.age, self.skew = age, skew
        fix = "a correct clock; for slow models a faster one, lower max_tokens or streaming; or an API key (no date)"
        signed = f"signed {age:.0f} s before the refusal; {why}; what helps: {fix}"
        self.args: tuple[Any, ...] = (f"{self.args[0]} [{signed}]",)


class ValidationFailed(ServiceError):
    """The request is not valid for this model."""

    option: str | None = None
    """The option of the call that the service refused, if its message names one."""

    def explain(self, option: str, remedy: str) -> None:
        """Set `option`, and add it and the remedy to the text of the error; `message` stays the service's own."""
        self.option = option
        self.args: tuple[Any, ...] = (f"{self.args[0]} [option {option}: {remedy}]",)


class ContextWindowExceeded(ValidationFailed):
    """The input is longer than the model's context window."""


class ResourceNotFound(ServiceError):
    """The model or resource does not exist in this region."""


class Throttled(ServiceError):
    """Too many requests or tokens."""

    retryable = True


class QuotaExceeded(ServiceError):
    """An account quota is used up; a short wait does not help."""


class ModelNotReady(ServiceError):
    """The model is still being loaded."""

    retryable = True


class ModelTimeout(ServiceError):
    """The model took too long."""

    retryable = True


class ModelError(ServiceError):
    """The model failed on this input."""


class ModelStreamError(ServiceError):
    """The model failed while streaming."""

    retryable = True


class InternalServerError(ServiceError):
    """Bedrock failed."""

    retryable = True


class ServiceUnavailable(ServiceError):
    """Bedrock is not available."""

    retryable = True


def service_error(
    code: str | None,
    message: str,
    status: int | None = None,
    *,
    mid_stream: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> ServiceError:
    """Build the error for a service code.

    `code` is what `x-amzn-ErrorType` or, inside a stream, `:exception-type` holds; None if the response has none.
    `status` is the HTTP status; None inside a stream and with HTTP 200. `extra` is the error's body.
    """
    from .codes import find_error

    name, kind, status = find_error(code or "", message, status)
    cls: type[ServiceError] = globals()[kind]
    return cls(name, message, status, mid_stream=mid_stream, extra=extra)
