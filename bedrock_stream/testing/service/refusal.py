"""An answer that is an HTTP error, in the service's own shape: a status, a type header and a message.

Raised by whatever looks at a request; turned into bytes in one place, the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = (
    "ERROR_TYPE_SUFFIX", "MODEL_SAYS", "Refusal", "constraint", "extraneous", "invalid", "malformed", "pascal_name",
    "status_of",
)  # fmt: skip

MODEL_SAYS = "The model returned the following errors: "
"""What Converse writes in front of a refusal that is the model's own."""

ERROR_TYPE_SUFFIX = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
"""What the service writes behind the name in `x-amzn-ErrorType`."""

_STATUS = {
    "AccessDeniedException": 403,
    "ValidationException": 400,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}


class Refusal(Exception):
    """The request is answered by an HTTP error instead of a message."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        member: str = "message",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        """The name for `x-amzn-ErrorType`; None leaves the header out."""
        self.message = message
        self.headers: dict[str, str] = dict(headers or {})
        """Further response headers."""
        self.member = member
        """The body's key of the message: the bearer front door spells it `Message`."""


def invalid(message: str) -> Refusal:
    """The refusal of a request that Bedrock understood and does not allow."""
    return Refusal(400, "ValidationException", message)


def malformed(message: str) -> Refusal:
    """The refusal of a body that could not be read as the operation's input."""
    return Refusal(400, "SerializationException", message)


def constraint(value: Any, place: str, rule: str) -> Refusal:
    """The refusal of a value by the service model."""
    return invalid(f"1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: {rule}")


def extraneous(key: str, place: str = "#") -> Refusal:
    """The refusal of a member that the input does not have."""
    return invalid(
        f"Malformed input request: {place}: extraneous key [{key}] is not permitted, "
        "please reformat your input and try again."
    )


def pascal_name(code: str) -> str:
    """The HTTP spelling of an error name: streams write the same names with a small first letter."""
    return code[:1].upper() + code[1:]


def status_of(code: str) -> int:
    """The HTTP status that the service model gives an error name, 500 where it gives none."""
    return _STATUS.get(pascal_name(code), 500)
