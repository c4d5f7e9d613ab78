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
_CATEGORIES: tuple[tuple[type[BedrockStreamError], type[ModelAPIError]], ...] = (
    (errors.ContextWindowExceeded, exceptions.ModelContextWindowExceededError),
    (errors.ValidationFailed, exceptions.ModelRequestRejectedError),
    (errors.AccessDenied, exceptions.ModelAuthenticationError),
    (errors.ExpiredToken, exceptions.ModelAuthenticationError),
    (errors.InvalidSignature, exceptions.ModelAuthenticationError),
    (errors.ResourceNotFound, exceptions.ModelNotFoundError),
    (errors.QuotaExceeded, exceptions.ModelQuotaExceededError),
    (errors.Throttled, exceptions.ModelRateLimitError),
    (errors.ModelNotReady, exceptions.ModelUnavailableError),
    (errors.ServiceUnavailable, exceptions.ModelUnavailableError),
    (errors.InternalServerError, exceptions.ModelServerError),
    (errors.ModelError, exceptions.ModelServerError),
    (errors.ModelStreamError, exceptions.ModelServerError),
    (errors.TimeLimitError, exceptions.ModelTimeoutError),
    (errors.TransportError, exceptions.ModelConnectionError),
    (errors.StreamInterrupted, exceptions.ModelConnectionError),
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
        return (category or ModelAPIError)(model_name=model, message=str(error))
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


def _category(error: BedrockStreamError) -> type[ModelAPIError] | None:
    return next((category for kind, category in _CATEGORIES if isinstance(error, kind)), None)
