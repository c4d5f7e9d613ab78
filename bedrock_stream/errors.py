"""Every exception of this library, and the one place where a service's error code becomes a class.

    BedrockStreamError
    ├── ConfigurationError          you called this wrongly; raised at the call, before anything is sent
    │   ├── MissingCredentials      no key was found in any place that was looked at
    │   └── UnsupportedOperation    this model, route or credential cannot do that
    ├── CredentialsUnavailable      a source of keys was asked and gave none
    ├── TransportError              the network failed, or a clock ran out
    │   ├── ConnectionFailed        nothing of the answer was read
    │   ├── TimeLimitError          ConnectTimeout, PoolTimeout, FirstEventTimeout, FirstContentTimeout, IdleTimeout,
    │   │                           TotalTimeout, UnreadTimeout
    │   └── ClientClosed            the client was closed under the stream
    ├── InvalidFrame                the bytes break the event-stream format
    │   └── ChecksumMismatch, FrameSizeError, InvalidHeader
    ├── NotAnEventStream            the answer is something else: a proxy's page, a wrong endpoint
    ├── StreamInterrupted           the answer had begun and ended before the message did
    ├── ToolInputError              the message ended, but a tool call's input is not a JSON object
    ├── ToolRoundsExceeded          the model still calls tools after as many rounds as it may
    └── ServiceError                Bedrock said no, as an HTTP status or inside the stream: the same class either way
        ├── AccessDenied, ExpiredToken, InvalidSignature (SignatureExpired)
        ├── ValidationFailed (ContextWindowExceeded), ResourceNotFound
        ├── Throttled, QuotaExceeded, ModelNotReady
        └── ModelTimeout, ModelError, ModelStreamError, InternalServerError, ServiceUnavailable

Each branch has another remedy. Facts are attributes; the sentence is built from them. Secrets are never among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = (
    "AccessDenied",
    "BedrockStreamError",
    "ChecksumMismatch",
    "ClientClosed",
    "ConfigurationError",
    "ConnectTimeout",
    "ConnectionFailed",
    "ContextWindowExceeded",
    "CredentialsUnavailable",
    "ExpiredToken",
    "FirstContentTimeout",
    "FirstEventTimeout",
    "FrameSizeError",
    "IdleTimeout",
    "InternalServerError",
    "InvalidFrame",
    "InvalidHeader",
    "InvalidSignature",
    "MissingCredentials",
    "ModelError",
    "ModelNotReady",
    "ModelStreamError",
    "ModelTimeout",
    "NotAnEventStream",
    "PoolTimeout",
    "QuotaExceeded",
    "ResourceNotFound",
    "ServiceError",
    "ServiceUnavailable",
    "SignatureExpired",
    "StreamInterrupted",
    "Throttled",
    "TimeLimitError",
    "ToolInputError",
    "ToolRoundsExceeded",
    "TotalTimeout",
    "TransportError",
    "UnreadTimeout",
    "UnsupportedOperation",
    "ValidationFailed",
    "service_error",
)


class BedrockStreamError(Exception):
    """The base of everything this library raises.

    Where the answer's headers had come, the error carries what was known by then.
    """

    request_id: str | None = None
    """The service's id of the request, to quote to AWS support."""
    model: str | None = None
    """The model id or ARN as it was sent."""
    region: str | None = None
    """The region the request was signed for."""
    events_received: int = 0
    """How many events had reached the caller."""
    partial: Any = None
    """The `Response` so far, or None where nothing was assembled."""
    retryable = False
    """Whether the same request may succeed later."""
    retry_after: float | None = None
    """After how many seconds the service said it may be tried again."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only constructors defeat the default, and errors do travel between processes.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[BedrockStreamError], args: tuple[Any, ...], facts: dict[str, Any]) -> BedrockStreamError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(facts)
    return error


# ---------------------------------------------------------------------------------------------- you called this wrongly


class ConfigurationError(BedrockStreamError):
    """An argument cannot be used. Raised at the call, before anything is sent."""

    def __init__(self, argument: str, problem: str, remedy: str = "") -> None:
        super().__init__(f"{argument}: {problem}" + (f"; {remedy}" if remedy else ""))
        self.argument = argument
        """The argument's name, or its place: `messages[3].content[0]`."""
        self.problem = problem
        """What is wrong with it, its value included where it is no secret."""
        self.remedy = remedy
        """What to do instead."""


class MissingCredentials(ConfigurationError):
    """No API key and no IAM keys were found; the message names every place that was looked at."""


class UnsupportedOperation(ConfigurationError):
    """The model, the route or the kind of credentials cannot do what was asked."""


class CredentialsUnavailable(BedrockStreamError):
    """A source of keys was asked and gave none: it could not be reached, said no, or answered something else."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        """The source in words."""
        self.reason = reason
        """What went wrong, without anything secret."""


# --------------------------------------------------------------------------------------------------- the network failed


class TransportError(BedrockStreamError):
    """The network failed or a clock ran out."""


class ConnectionFailed(TransportError):
    """No connection, or it broke before anything of the answer was read."""

    retryable = True
    dropped = False
    """The connection stood, and broke before anything came: as a rule one that the other side had given up."""


class TimeLimitError(TransportError):
    """A clock of `Timeouts` ran out. The subclass says which."""

    clock = "time"

    def __init__(self, limit: float, elapsed: float, bytes_received: int = 0, detail: str = "") -> None:
        super().__init__(
            f"{self.clock} limit of {limit:g} s reached after {elapsed:.1f} s, {bytes_received} bytes received"
            + (f": {detail}" if detail else "")
        )
        self.limit = limit
        """The limit in seconds."""
        self.elapsed = elapsed
        """How long was waited, in seconds."""
        self.bytes_received = bytes_received
        """Bytes of the answer's body that had arrived."""


class PoolTimeout(TimeLimitError):
    """Every connection slot stayed taken; the message names the limit of slots and the open streams."""

    clock = "pool"


class ConnectTimeout(TimeLimitError):
    """Name lookup, TCP and TLS together took too long."""

    clock = "connect"
    retryable = True


class FirstEventTimeout(TimeLimitError):
    """The request was sent and no event came."""

    clock = "first_event"


class FirstContentTimeout(TimeLimitError):
    """The message began and no content came."""

    clock = "first_content"


class IdleTimeout(TimeLimitError):
    """The stream had begun and no byte came for too long."""

    clock = "idle"


class TotalTimeout(TimeLimitError):
    """The whole call took too long (off unless asked for)."""

    clock = "total"


class UnreadTimeout(TimeLimitError):
    """The caller kept the stream and stopped reading it, so its connection was given back."""

    clock = "unread"


class ClientClosed(TransportError):
    """The client was closed, before or under this stream."""


# ------------------------------------------------------------------------------------------------- the bytes are wrong


class InvalidFrame(BedrockStreamError):
    """The bytes break the event-stream format, or a frame's payload is not what its headers promise."""

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (frame at byte {offset} of the stream)")
        self.offset = offset
        """Where in the stream the damaged frame begins, in bytes."""


class ChecksumMismatch(InvalidFrame):
    """A CRC-32 does not match: the bytes were changed on the way, or are not an event stream."""

    def __init__(self, part: str, expected: int, computed: int, *, offset: int | None = None) -> None:
        super().__init__(f"{part} checksum is 0x{expected:08x}, computed 0x{computed:08x}", offset=offset)
        self.part = part
        """`prelude` or `message`."""
        self.expected = expected
        self.computed = computed


class FrameSizeError(InvalidFrame):
    """A declared length is impossible, or above the limit."""


class InvalidHeader(InvalidFrame):
    """A header block breaks the format, or a header cannot be written."""


class NotAnEventStream(BedrockStreamError):
    """The answer is not Bedrock's: its content type or body is something else."""

    def __init__(self, status: int, content_type: str | None, body: bytes) -> None:
        body = body[:200]
        super().__init__(f"expected Bedrock's answer, got HTTP {status} with content type {content_type!r}: {body!r}")
        self.status = status
        self.content_type = content_type
        self.body = body
        """The first 200 bytes."""


# --------------------------------------------------------------------------------------------- the answer stopped early


class StreamInterrupted(BedrockStreamError):
    """The answer had begun, and its body ended, was reset or was closed before the message's own end."""

    retryable = True


class ToolInputError(BedrockStreamError):
    """The message ended, but the input of a tool call is not a JSON object. It is never replaced by `{}`."""

    def __init__(self, name: str, call_id: str, raw: str, stop_reason: str | None, usage: Any = None) -> None:
        super().__init__(
            f"input of tool call {name!r} ({call_id}) is not a JSON object: {raw[:200]!r} (stop reason {stop_reason!r})"
        )
        self.name = name
        self.call_id = call_id
        self.raw = raw
        """The text of the input as it came."""
        self.stop_reason = stop_reason
        """`max_tokens` here means that the input was cut by the limit."""
        self.usage = usage


class ToolRoundsExceeded(BedrockStreamError):
    """`run_tools` has asked as often as it may, and the model still calls tools; `partial` is its last answer."""

    def __init__(self, rounds: int) -> None:
        super().__init__(f"the model still calls tools after {rounds} rounds")
        self.rounds = rounds


# ------------------------------------------------------------------------------------------------- the service said no


class ServiceError(BedrockStreamError):
    """Bedrock refused or failed. The base class itself stands for codes that nobody has modelled yet."""

    def __init__(
        self, code: str, message: str, status: int, *, mid_stream: bool = False, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code} (HTTP {status}): {message}" if code else f"HTTP {status}: {message}")
        self.code = code
        """The service's name of the error, `ThrottlingException`; empty where nothing named it."""
        self.message = message
        """The service's own words."""
        self.status = status
        """The HTTP status; inside a stream, the one that the service model gives the code."""
        self.mid_stream = mid_stream
        """Whether it came as a frame, after HTTP 200."""
        extra = extra or {}
        self.original_status: int | None = extra.get("originalStatusCode")
        """What the model behind Bedrock answered, where the service says so."""
        self.original_message: str | None = extra.get("originalMessage")
        self.resource_name: str | None = extra.get("resourceName")


class AccessDenied(ServiceError):
    """No permission, no access to the model, or unknown keys."""


class ExpiredToken(ServiceError):
    """The session token has expired."""


class InvalidSignature(ServiceError):
    """The signature does not match what the service computed."""


class SignatureExpired(InvalidSignature):
    """The request's date is more than five minutes from the service's clock, and signing anew did not help."""

    age: float | None = None
    """How long before the refusal the request had been signed, in seconds."""
    skew: float | None = None
    """How far the service's clock is ahead of this machine's, in seconds, by all that it said."""

    def explain(self, age: float, skew: float, why: str) -> None:
        """Put what is known of the clocks, and what helps, into the sentence."""
        self.age, self.skew = age, skew
        remedies = (
            "a right clock; where the model is slow a faster one, lower max_tokens or streaming; "
            "or an API key, which has no date"
        )
        self.args = (f"{self.args[0]} [signed {age:.0f} s before the refusal; {why}; what helps: {remedies}]",)


class ValidationFailed(ServiceError):
    """The request is not valid for this model."""


class ContextWindowExceeded(ValidationFailed):
    """The input is longer than the model's context."""


class ResourceNotFound(ServiceError):
    """No such model or resource in this region."""


class Throttled(ServiceError):
    """Too many requests or tokens."""

    retryable = True


class QuotaExceeded(ServiceError):
    """An account quota is used up; waiting a moment does not help."""


class ModelNotReady(ServiceError):
    """The model is being loaded."""

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


# Names from the Bedrock Runtime service model, those that AWS's front doors answer before Bedrock sees a request, and
# those of STS whose HTTP status, 400, tells something else.
_BY_CODE: dict[str, tuple[type[ServiceError], int]] = {
    "AccessDeniedException": (AccessDenied, 403),
    "UnrecognizedClientException": (AccessDenied, 403),
    "MissingAuthenticationTokenException": (AccessDenied, 403),
    "ExpiredTokenException": (ExpiredToken, 403),
    "ExpiredToken": (ExpiredToken, 403),
    "InvalidSignatureException": (InvalidSignature, 403),
    "SignatureDoesNotMatch": (InvalidSignature, 403),
    "IncompleteSignatureException": (InvalidSignature, 403),
    "IncompleteSignature": (InvalidSignature, 403),
    "RequestTimeTooSkewed": (SignatureExpired, 403),
    "RequestExpired": (SignatureExpired, 403),
    "RequestInTheFuture": (SignatureExpired, 403),
    "ValidationException": (ValidationFailed, 400),
    "ConflictException": (ValidationFailed, 400),
    "ResourceNotFoundException": (ResourceNotFound, 404),
    "ServiceQuotaExceededException": (QuotaExceeded, 400),
    "ThrottlingException": (Throttled, 429),
    "TooManyRequestsException": (Throttled, 429),
    "Throttling": (Throttled, 429),
    "IDPCommunicationError": (ServiceUnavailable, 503),
    "ModelNotReadyException": (ModelNotReady, 429),
    "ModelTimeoutException": (ModelTimeout, 408),
    "ModelErrorException": (ModelError, 424),
    "ModelStreamErrorException": (ModelStreamError, 424),
    "InternalServerException": (InternalServerError, 500),
    "InternalFailure": (InternalServerError, 500),
    "InternalError": (InternalServerError, 500),
    "ServiceUnavailableException": (ServiceUnavailable, 503),
}

# Some proxies strip the type header; the status is what remains.
_BY_STATUS: dict[int, type[ServiceError]] = {
    400: ValidationFailed,
    401: AccessDenied,
    403: AccessDenied,
    404: ResourceNotFound,
    408: ModelTimeout,
    424: ModelError,
    429: Throttled,
    500: InternalServerError,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}

_CONTEXT_OVERFLOW = (
    "input is too long",
    "exceed context limit",
    "too many total text bytes",
    "prompt is too long",
)

_CLOCK_APART = ("signature expired", "signature not yet current")


def service_error(
    code: str | None,
    message: str,
    status: int | None = None,
    *,
    mid_stream: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> ServiceError:
    """Build the error for a service code.

    `code` is a name as it stands in `x-amzn-ErrorType` or, inside a stream, in `:exception-type` (lower camel case);
    None where nothing named the error. `status` is the HTTP status, None inside a stream. `extra` is the error's body.
    """
    name = code[:1].upper() + code[1:] if code else ""
    known, modelled = _BY_CODE.get(name, (None, None))
    cls = known or _BY_STATUS.get(status or 0, ServiceError)
    lowered = message.lower()
    if cls is ValidationFailed and any(phrase in lowered for phrase in _CONTEXT_OVERFLOW):
        cls = ContextWindowExceeded
    elif lowered.startswith(_CLOCK_APART) and (cls is InvalidSignature or not name):
        cls = SignatureExpired
    # 500 where neither the wire nor the model knows: an unnamed failure of the other side.
    return cls(name, message, status or modelled or 500, mid_stream=mid_stream, extra=extra)
