"""Which class of error a service code, an HTTP status or a message stands for; classes are given by their names."""

from __future__ import annotations

import re

__all__ = ("WORDS", "find_error", "rank")

# fmt: off
# The codes of the Bedrock Runtime service model, those that AWS's front ends return before a request reaches Bedrock,
# and those STS codes whose HTTP status, 400, would select another class.
_BY_CODE: dict[str, tuple[str, int]] = {
    "AccessDeniedException": ("AccessDenied", 403), "UnrecognizedClientException": ("AccessDenied", 403),
    "MissingAuthenticationTokenException": ("AccessDenied", 403),
    "ExpiredTokenException": ("ExpiredToken", 403), "ExpiredToken": ("ExpiredToken", 403),
    "InvalidSignatureException": ("InvalidSignature", 403), "SignatureDoesNotMatch": ("InvalidSignature", 403),
    "IncompleteSignatureException": ("InvalidSignature", 403), "IncompleteSignature": ("InvalidSignature", 403),
    "RequestTimeTooSkewed": ("SignatureExpired", 403), "RequestExpired": ("SignatureExpired", 403),
    "RequestInTheFuture": ("SignatureExpired", 403),
    "ValidationException": ("ValidationFailed", 400), "ConflictException": ("ValidationFailed", 400),
    "context_length_exceeded": ("ContextWindowExceeded", 400),
    "ResourceNotFoundException": ("ResourceNotFound", 404), "ServiceQuotaExceededException": ("QuotaExceeded", 400),
    "ThrottlingException": ("Throttled", 429), "TooManyRequestsException": ("Throttled", 429),
    "Throttling": ("Throttled", 429), "ModelNotReadyException": ("ModelNotReady", 429),
    "IDPCommunicationError": ("ServiceUnavailable", 503), "ServiceUnavailableException": ("ServiceUnavailable", 503),
    "ModelTimeoutException": ("ModelTimeout", 408), "ModelErrorException": ("ModelError", 424),
    "ModelStreamErrorException": ("ModelStreamError", 424), "InternalServerException": ("InternalServerError", 500),
    "UnknownOperationException": ("", 404),  # it comes with HTTP 200; with another status, that selects the class
    "InternalFailure": ("InternalServerError", 500), "InternalError": ("InternalServerError", 500),
}
# Some proxies strip the header with the code, so only the status is left. Cloudflare's own are 520 to 524 and 530, and
# 529 is Anthropic's for an overloaded model.
_BY_STATUS: dict[int, str] = {
    400: "ValidationFailed", 401: "AccessDenied", 403: "AccessDenied", 404: "ResourceNotFound", 408: "ModelTimeout",
    424: "ModelError", 429: "Throttled", 500: "InternalServerError",
    **dict.fromkeys((502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529, 530), "ServiceUnavailable"),
}
# The words of Anthropic's and OpenAI's APIs -> Bedrock's names, so that both become the same classes.
WORDS: dict[str, str] = {
    "api_error": "InternalServerException", "server_error": "InternalServerException",
    "internal_error": "InternalServerException", "internal_server_error": "InternalServerException",
    "authentication_error": "AccessDeniedException", "invalid_api_key": "AccessDeniedException",
    "permission_error": "AccessDeniedException",
    "invalid_request_error": "ValidationException", "validation_error": "ValidationException",
    "request_too_large": "ValidationException", "invalid_prompt": "ValidationException",
    "not_found_error": "ResourceNotFoundException", "model_not_found": "ResourceNotFoundException",
    "rate_limit_error": "ThrottlingException", "rate_limit_exceeded": "ThrottlingException",
    "insufficient_quota": "ServiceQuotaExceededException", "timeout_error": "ModelTimeoutException",
    "overloaded_error": "ServiceUnavailableException", "service_unavailable_error": "ServiceUnavailableException",
    "server_shutting_down": "ServiceUnavailableException", "server_overloaded": "ServiceUnavailableException",
    "slow_down": "ServiceUnavailableException",
}
# Those that say less than an HTTP status does.
_VAGUE = frozenset({"api_error", "internal_error", "invalid_request_error", "server_error", "validation_error"})
# fmt: on
_NAMES = {name.lower(): name for name in _BY_CODE}

# A ValidationException has no finer code: only its text tells that the input exceeds the context window.
_CONTEXT_OVERFLOW = re.compile(
    "input is too long|exceed context limit|too many total text bytes|prompt is too long"
    "|prompt tokens .*exceed model maximum|maximum context length|context_length_exceeded",
    re.IGNORECASE,
)
# An InvalidSignatureException covers wrong keys and wrong dates; these texts mean a wrong date.
_CLOCK_SKEW = ("signature expired", "signature not yet current")


def find_error(code: str, message: str, status: int | None) -> tuple[str, str, int]:
    """Return the code's name, the name of the error's class, and its status."""
    name = _code_name(code)
    if status is None and re.fullmatch("[45][0-9][0-9]", name):
        status = int(name)
    known, modelled = _BY_CODE.get(name, (None, None))
    if (word := WORDS.get(name)) is not None and not (name in _VAGUE and status in _BY_STATUS):
        known, modelled = _BY_CODE[word]
    kind = known or _BY_STATUS.get(status or 0, "ServiceError")
    # Models with OpenAI's API have codes of their own, such as `validation_error`. In a stream these have no status.
    if kind in ("ValidationFailed", "ServiceError") and _CONTEXT_OVERFLOW.search(message):
        kind, modelled = "ContextWindowExceeded", 400
    elif message.lower().startswith(_CLOCK_SKEW) and (kind == "InvalidSignature" or not name):
        kind = "SignatureExpired"
    # An unknown code inside a stream has no status: report it as a failure of the service.
    return name, kind, status or modelled or 500


def rank(code: str) -> int:
    """Return how much a code of an error's body tells, less for more: of several, the first of the lowest is its code.

    An OpenAI error has a `code` and a `type`, either may be null, a number, or a word that is not known here.
    """
    name = _code_name(code)
    if name in _BY_CODE or (name in WORDS and name not in _VAGUE):
        return 0
    return 1 if name in WORDS else 3 if name.isdigit() else 2


def _code_name(code: str) -> str:
    """Return the name in a code: `ThrottlingException` for `com.amazon.coral#throttlingException:http://...`."""
    # HTTP errors are named in Pascal case, exception frames in camel case.
    name = code.partition(":")[0].rpartition("#")[2].partition(",")[0].strip()
    known = _NAMES.get(name.lower()) or _NAMES.get(name.rpartition(".")[2].lower())
    return known or (name if name in WORDS else name[:1].upper() + name[1:])
