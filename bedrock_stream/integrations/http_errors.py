"""What a browser is told when an answer fails: an HTTP status and words that give nothing of the server away.

The service's own words go on, since they say what is wrong with the request. Words about whose keys were used, and all
words of this library about endpoints, settings and connections, stay here: those belong in the server's log.
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
    InvalidSignature,
    ServiceError,
    StreamInterrupted,
    TimeLimitError,
    ToolInputError,
    ToolRoundsExceeded,
    TransportError,
)

__all__ = ("Problem", "problem_of")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A failure in a form that may be shown to anybody."""

    status: int
    """The HTTP status that fits, also where it is too late to send one."""
    type: str
    """The name of the error's class."""
    message: str
    code: str = ""
    """The service's name of the error; empty where it is none of the service's."""
    request_id: str | None = None
    """To be quoted to AWS support."""
    retryable: bool = False
    retry_after: float | None = None
    """Seconds to wait, where the service said how many."""

    @property
    def headers(self) -> dict[str, str]:
        """What HTTP has a header for."""
        return {} if self.retry_after is None else {"retry-after": str(math.ceil(self.retry_after))}


# Their messages name accounts, roles and keys.
_ABOUT_KEYS = (AccessDenied, ExpiredToken, InvalidSignature)

# The first line that fits counts.
_TOLD: tuple[tuple[type[BedrockStreamError], int, str], ...] = (
    (ConfigurationError, 500, "The server is not set up for this request."),
    (CredentialsUnavailable, 500, "The server is not set up for this request."),
    (TimeLimitError, 504, "The model did not answer in time."),
    (ClientClosed, 503, "The server is shutting down."),
    (TransportError, 502, "The model could not be reached."),
    (StreamInterrupted, 502, "The answer broke off."),
    (ToolInputError, 502, "The model called a tool with input that is not a JSON object."),
    (ToolRoundsExceeded, 502, "The model called tools more often than it may."),
    (BedrockStreamError, 502, "The answer could not be read."),
)


def problem_of(error: BedrockStreamError) -> Problem:
    """Status and words for an error."""
    if isinstance(error, ServiceError):
        retry_after = getattr(error, "retry_after", None)
        return Problem(
            status=error.status if 400 <= error.status <= 599 else 502,
            type=type(error).__name__,
            message="The server may not use this model." if isinstance(error, _ABOUT_KEYS) else error.message,
            code=error.code,
            request_id=error.request_id,
            retryable=error.retryable,
            retry_after=retry_after if isinstance(retry_after, int | float) else None,
        )
    status, message = next((status, message) for kind, status, message in _TOLD if isinstance(error, kind))
    return Problem(status=status, type=type(error).__name__, message=message, request_id=error.request_id)
