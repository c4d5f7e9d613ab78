"""HTTP errors in the service's format: a status, the `x-amzn-ErrorType` header and a JSON body with the message.

The checks of a request raise `Refusal`; the server turns it into a response.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = (
    "ERROR_TYPE_SUFFIX", "MODEL_ERROR_PREFIX", "Refusal", "constraint", "extraneous", "invalid", "malformed",
    "pascal_name", "quoted", "status_of", "unsupported",
)  # fmt: skip

MODEL_ERROR_PREFIX = "The model returned the following errors: "
"""The text that Converse writes before a validation message of the model itself."""

ERROR_TYPE_SUFFIX = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
"""The text that the service appends to the error name in `x-amzn-ErrorType`."""

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
    """An HTTP error instead of an answer."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        member: str = "message",
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        """AWS's name of the error, for `x-amzn-ErrorType`, or a vendor's own word; None omits the header."""
        self.message = message
        self.headers: dict[str, str] = dict(headers or {})
        """Additional response headers."""
        self.member = member
        """The message's key in the body. The check of bearer keys spells it `Message`."""
        self.param = param
        """The member of the request that is refused; only OpenAI's form has it."""


def invalid(message: str) -> Refusal:
    """Return the refusal of a request that Bedrock can parse but does not allow."""
    return Refusal(400, "ValidationException", message)


def malformed(message: str) -> Refusal:
    """Return the refusal of a body that cannot be parsed as the operation's input."""
    return Refusal(400, "SerializationException", message)


def constraint(value: Any, path: str, rule: str) -> Refusal:
    """Return the refusal of a value that violates a constraint of the service model."""
    return invalid(f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: {rule}")


def extraneous(key: str, path: str = "#") -> Refusal:
    """Return the refusal of a member that the input does not define."""
    return invalid(
        f"Malformed input request: {path}: extraneous key [{key}] is not permitted, "
        "please reformat your input and try again."
    )


def unsupported(field: str) -> Refusal:
    """Return the refusal of a member that the model does not take."""
    return invalid(f"This model doesn't support the {field} field. Remove {field} and try again.")


def quoted(words: tuple[str, ...]) -> str:
    """Return words as the models' messages list them: `'low', 'medium' or 'high'`."""
    *first, last = (f"'{word}'" for word in words)
    return f"{', '.join(first)} or {last}" if first else last


def pascal_name(code: str) -> str:
    """Return the HTTP spelling of an error name. In event streams the first letter is lower-case."""
    return code[:1].upper() + code[1:]


def status_of(code: str) -> int:
    """Return the HTTP status of an error name in the service model, 500 for unknown names."""
    return _STATUS.get(pascal_name(code), 500)
