"""This library's errors as those of pydantic-ai, by which its `FallbackModel` and its retries decide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic_ai import exceptions
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError

from ... import errors
from ...errors import BedrockStreamError, ConfigurationError, ServiceError

__all__ = ("model_errors",)

# The first class of an error decides, so subclasses come before their bases.
_CATEGORIES: tuple[tuple[type[BedrockStreamError], str], ...] = (
    (errors.ContextWindowExceeded, "ModelContextWindowExceededError"),
    (errors.ValidationFailed, "ModelRequestRejectedError"),
    (errors.AccessDenied, "ModelAuthenticationError"),
    (errors.ExpiredToken, "ModelAuthenticationError"),
    (errors.InvalidSignature, "ModelAuthenticationError"),
    (errors.ResourceNotFound, "ModelNotFoundError"),
    (errors.QuotaExceeded, "ModelQuotaExceededError"),
    (errors.Throttled, "ModelRateLimitError"),
    (errors.ModelNotReady, "ModelUnavailableError"),
    (errors.ServiceUnavailable, "ModelUnavailableError"),
    (errors.InternalServerError, "ModelServerError"),
    (errors.ModelError, "ModelServerError"),
    (errors.ModelStreamError, "ModelServerError"),
    (errors.TimeLimitError, "ModelTimeoutError"),
    (errors.TransportError, "ModelConnectionError"),
    (errors.StreamInterrupted, "ModelConnectionError"),
)


@contextmanager
def model_errors(model: str) -> Iterator[None]:
    """Raise what this library raises as pydantic-ai's error. A `ConfigurationError` is the caller's, and stays one."""
    try:
        yield
    except ConfigurationError:
        raise
    except BedrockStreamError as error:
        raise _model_error(error, model) from error


def _model_error(error: BedrockStreamError, model: str) -> ModelAPIError:
    category = _category(error)
    if not isinstance(error, ServiceError):
        return category(model_name=model, message=str(error))
    http: Any = ModelHTTPError.for_category
    failure: ModelAPIError = http(
        category,
        status_code=error.status,
        model_name=model,
        body={"Error": {"Code": error.code, "Message": error.message}},
        provider_error_code=error.code or None,
        retry_after=error.retry_after,
        in_stream=error.mid_stream,
    )
    return failure


def _category(error: BedrockStreamError) -> type[ModelAPIError]:
    name = next((name for kind, name in _CATEGORIES if isinstance(error, kind)), "")
    found: type[ModelAPIError] = getattr(exceptions, name) if name else ModelAPIError
    return found
