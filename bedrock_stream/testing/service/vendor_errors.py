"""Errors in the forms of Anthropic and OpenAI, as Messages, Chat Completions and Responses have them.

The checks of a request and scripts name an error by AWS's word, which becomes the vendor's. Any other name is the
vendor's own word, and stays as it is.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from .refusal import Refusal, pascal_name

__all__ = ("FRONT_DOOR", "UNKNOWN_OPERATION", "Vendor", "error_document", "error_of", "wrong_route_message")

Vendor: TypeAlias = Literal["aws", "anthropic", "openai"]

UNKNOWN_OPERATION = b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}'
"""The body with which bedrock-runtime answers on a path that it does not have, with HTTP 200."""

FRONT_DOOR = frozenset(
    {"IncompleteSignatureException", "InvalidSignatureException"}
    | {"MissingAuthenticationTokenException", "UnrecognizedClientException"}
)
"""The errors of AWS's own authentication, which keep the header with AWS's name on every path."""

# AWS's name -> the type in Anthropic's form; the type and the code in OpenAI's form.
_WORDS: dict[str, tuple[str, str, str | None]] = {
    "AccessDeniedException": ("permission_error", "permission_error", None),
    "InternalServerException": ("api_error", "server_error", "server_error"),
    "ModelErrorException": ("api_error", "server_error", "server_error"),
    "ModelNotReadyException": ("overloaded_error", "service_unavailable_error", None),
    "ModelStreamErrorException": ("api_error", "server_error", "server_error"),
    "ModelTimeoutException": ("timeout_error", "timeout_error", None),
    "RequestEntityTooLargeException": ("request_too_large", "invalid_request_error", "request_too_large"),
    "ResourceNotFoundException": ("not_found_error", "not_found_error", "model_not_found"),
    "SerializationException": ("invalid_request_error", "invalid_request_error", "validation_error"),
    "ServiceQuotaExceededException": ("rate_limit_error", "insufficient_quota", "insufficient_quota"),
    "ServiceUnavailableException": ("overloaded_error", "service_unavailable_error", None),
    "ThrottlingException": ("rate_limit_error", "rate_limit_error", "rate_limit_exceeded"),
    "UnknownOperationException": ("not_found_error", "not_found_error", None),
    "ValidationException": ("invalid_request_error", "invalid_request_error", "validation_error"),
    **dict.fromkeys(FRONT_DOOR, ("authentication_error", "authentication_error", None)),
}
# OpenAI's code -> its type.
_TYPES = {code: kind for _, kind, code in _WORDS.values() if code} | {
    "context_length_exceeded": "invalid_request_error"
}
_BY_STATUS = {
    400: "ValidationException", 401: "UnrecognizedClientException", 403: "AccessDeniedException",
    404: "ResourceNotFoundException", 408: "ModelTimeoutException", 413: "RequestEntityTooLargeException",
    424: "ModelErrorException", 429: "ThrottlingException", 503: "ServiceUnavailableException",
    504: "ModelTimeoutException", 529: "ServiceUnavailableException",
}  # fmt: skip


def error_of(
    vendor: Vendor, code: str | None, message: str, *, status: int = 500, param: str | None = None
) -> dict[str, Any]:
    """Return the `error` object of a vendor."""
    kinds = _WORDS[_BY_STATUS.get(status, "InternalServerException")]
    own = None
    if code is not None:
        name = pascal_name(code)
        kinds = _WORDS.get(name, kinds)
        own = None if name in _WORDS or name.endswith("Exception") else code
    anthropic, kind, word = kinds
    if vendor == "anthropic":
        return {"type": own or anthropic, "message": message}
    if own is not None:
        # Words that end in `_error` are types of OpenAI's errors, unless they are known as codes.
        is_type = own.endswith("_error") and own not in _TYPES
        kind, word = (own, None) if is_type else (_TYPES.get(own, kind), own)
    return {"message": message, "type": kind, "param": param, "code": word}


def error_document(vendor: Vendor, refusal: Refusal, request_id: str) -> dict[str, Any]:
    """Return the body of an HTTP error."""
    if vendor == "aws":
        return {refusal.member: refusal.message}
    error = error_of(vendor, refusal.code, refusal.message, status=refusal.status, param=refusal.param)
    return {"type": "error", "request_id": request_id, "error": error} if vendor == "anthropic" else {"error": error}


def wrong_route_message(model: str) -> str:
    """Return the words with which bedrock-mantle refuses a model on a path that does not serve it."""
    return f"The model '{model}' isn't supported on this route."
