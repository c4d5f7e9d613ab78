"""Every exception of this library, and the mapping from service error codes to classes.

    BedrockStreamError
    ├── ConfigurationError          an argument or setting is invalid; raised at the call, before anything is sent
    │   ├── MissingCredentials      no provider had credentials
    │   ├── UnsupportedOperation    this model, route or kind of credentials does not support the request
    │   ├── InvalidRequest          a request that a browser or client sent to this program cannot be converted
    │   └── RowInvalid, JournalBusy, JournalDamaged, JournalMismatch    of a batch
    ├── BatchStopped                a batch ended before all its rows were asked
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

from typing import TYPE_CHECKING, Any

from .base import BedrockStreamError, sentence
from .service import (
    AccessDenied,
    ContextWindowExceeded,
    ExpiredToken,
    InternalServerError,
    InvalidSignature,
    ModelError,
    ModelNotReady,
    ModelStreamError,
    ModelTimeout,
    QuotaExceeded,
    ResourceNotFound,
    ServiceError,
    ServiceUnavailable,
    SignatureExpired,
    Throttled,
    ValidationFailed,
    service_error,
)

if TYPE_CHECKING:
    from ..types.events import Usage

# fmt: off
__all__ = (
    "BedrockStreamError",
    "ConfigurationError", "MissingCredentials", "UnsupportedOperation", "InvalidRequest", "CredentialsUnavailable",
    "RowInvalid", "JournalBusy", "JournalDamaged", "JournalMismatch", "BatchStopped",
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
    """A request that a client sent to this program cannot be converted into a call."""

    def __init__(
        self, argument: str, problem: str, remedy: str = "", *, status: int = 400, code: str = "", member: str = ""
    ) -> None:
        super().__init__(argument, problem, remedy)
        self.status: int = status
        """The HTTP status for it: 400 or 413."""
        self.code: str = code
        """A word for the cause, or empty."""
        self.member: str = member or argument
        """Path of the member of the request that is wrong."""


class CredentialsUnavailable(BedrockStreamError):
    """A credential provider failed: it was unreachable or too slow, or returned an error or an invalid response."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(sentence(source, reason))
        self.source = source
        """Description of the provider."""
        self.reason = reason
        """The cause, without secrets."""


# ------------------------------------------------------------------------------------------------------------- batches


class RowInvalid(ConfigurationError):
    """A row of a batch cannot be sent. `argument` names it: `prompts[3]`."""


class JournalBusy(ConfigurationError):
    """Another batch writes to this journal; the message names its process."""


class JournalDamaged(ConfigurationError):
    """A line of a journal, other than a torn last one, cannot be read."""

    line = 0
    """Its number, from 1."""


class JournalMismatch(ConfigurationError):
    """A journal is of another run; the message says what differs."""


class BatchStopped(BedrockStreamError):
    """A batch ended before all its rows were asked: a limit of `Stop`, throttling without end, a full disk, ..."""

    def __init__(self, reason: str, progress: Any = None) -> None:
        super().__init__(f"the batch stopped: {reason}")
        self.reason = reason
        self.progress = progress
        """The `Progress` at the end."""


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


for _name in __all__:  # tracebacks and pickles name the public module
    globals()[_name].__module__ = __name__
