"""Errors as HTTP responses: a status and a message that reveals nothing about the server.

The service's own messages are passed on, since they describe the request. Errors about credentials, and this library's
errors about endpoints, settings and connections, get a fixed message: their details belong in the server's log. What is
wrong with a request that a browser or client sent is told.
"""

from __future__ import annotations

import math

import msgspec

from ..errors import (
    AccessDenied,
    BedrockStreamError,
    ClientClosed,
    ConfigurationError,
    CredentialsUnavailable,
    ExpiredToken,
    InvalidRequest,
    InvalidSignature,
    RelayFull,
    ServiceError,
    StreamInterrupted,
    TimeLimitError,
    ToolInputError,
    ToolRoundsExceeded,
    TransportError,
)

__all__ = ("NOT_CONFIGURED", "ErrorDetails", "error_details")

NOT_CONFIGURED = "The server is not configured for this request."


class ErrorDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The public details of a failed call."""

    status: int
    """The HTTP status for the error, even if another one has already been sent."""
    type: str
    """The class name of the error."""
    message: str
    code: str = ""
    """The service's error code; empty for errors that the service did not report."""
    request_id: str | None = None
    """The service's request id, for AWS support."""
    retryable: bool = False
    retry_after: float | None = None
    """Seconds to wait before a retry, if the service sent `Retry-After`."""

    @property
    def headers(self) -> dict[str, str]:
        """Response headers for the error."""
        # Retry-After takes whole seconds.
        return {} if self.retry_after is None else {"retry-after": str(math.ceil(self.retry_after))}


_NO_ACCESS = "The server does not have access to this model."
# Their messages name accounts, roles and access keys.
_ABOUT_CREDENTIALS = (AccessDenied, ExpiredToken, InvalidSignature)

# The first matching class applies, so subclasses come before their base classes.
_RESPONSES: tuple[tuple[type[BedrockStreamError], int, str], ...] = (
    (ConfigurationError, 500, NOT_CONFIGURED),
    (CredentialsUnavailable, 500, NOT_CONFIGURED),
    (TimeLimitError, 504, "The model did not respond in time."),
    (ClientClosed, 503, "The server is shutting down."),
    (TransportError, 502, "The model could not be reached."),
    (StreamInterrupted, 502, "The response was interrupted."),
    (ToolInputError, 502, "The model called a tool with input that is not a JSON object."),
    (RelayFull, 503, "The server is busy."),
    (ToolRoundsExceeded, 502, "The model exceeded the limit of tool rounds."),
    (BedrockStreamError, 502, "The response could not be read."),
)


def error_details(error: BedrockStreamError) -> ErrorDetails:
    """Return the status and the public details for an error."""
    if isinstance(error, ServiceError):
        retry_after = getattr(error, "retry_after", None)
        return ErrorDetails(
            # An error with a status outside 400-599 is a malformed response of the upstream server.
            status=error.status if 400 <= error.status <= 599 else 502,
            type=type(error).__name__,
            message=_NO_ACCESS if isinstance(error, _ABOUT_CREDENTIALS) else error.message,
            code=error.code,
            request_id=error.request_id,
            retryable=error.retryable,
            retry_after=retry_after if isinstance(retry_after, int | float) else None,
        )
    if isinstance(error, InvalidRequest):
        return ErrorDetails(
            status=error.status,
            type=type(error).__name__,
            message=str(error),
            code=error.code,
            request_id=error.request_id,
        )
    status, message = next((status, message) for kind, status, message in _RESPONSES if isinstance(error, kind))
    return ErrorDetails(status=status, type=type(error).__name__, message=message, request_id=error.request_id)
