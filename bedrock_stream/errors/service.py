"""Errors that Bedrock returns, and the mapping from its error codes to their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import BedrockStreamError, sentence

__all__ = (
    "AccessDenied",
    "ContextWindowExceeded",
    "ExpiredToken",
    "InternalServerError",
    "InvalidSignature",
    "ModelError",
    "ModelNotReady",
    "ModelStreamError",
    "ModelTimeout",
    "QuotaExceeded",
    "ResourceNotFound",
    "ServiceError",
    "ServiceUnavailable",
    "SignatureExpired",
    "Throttled",
    "ValidationFailed",
    "service_error",
)


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
        super().__init__(sentence(f"{code} (HTTP {status})" if named else f"HTTP {status}", message))
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
        self.original_code: str | None = None
        """The word of the model's own API, such as `overloaded_error`, if `code` is Bedrock's name for it."""


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
