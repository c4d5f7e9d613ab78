"""Errors as the page shows them: the class, the known facts, and a remedy."""

from __future__ import annotations

import msgspec

from ... import errors as e

__all__ = ("ErrorView", "describe_error")


class ErrorView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="error"):
    """One error."""

    kind: str
    """Name of the exception class."""
    message: str
    remedy: str = ""
    code: str | None = None
    status: int | None = None
    request_id: str | None = None
    retryable: bool | None = None
    mid_stream: bool | None = None
    events_received: int = 0


# The first matching class applies, so subclasses come before their base classes.
_REMEDIES: tuple[tuple[type[e.BedrockStreamError], str], ...] = (
    (e.Throttled, "Wait a moment and try again. If this happens often, request a higher quota."),
    (e.QuotaExceeded, "Request a higher quota in the Service Quotas console."),
    (e.ExpiredToken, "Sign in again: the session's credentials have expired."),
    (e.SignatureExpired, "Set this machine's clock: it differs from the service's by more than five minutes."),
    (e.InvalidSignature, "Check the secret access key and the region."),
    (e.AccessDenied, "Check the credentials, the IAM policy, and that the model is enabled for the account."),
    (e.ContextWindowExceeded, "Start a new chat or shorten the prompt."),
    (e.ValidationFailed, "Change the options: the model does not accept this request."),
    (e.ResourceNotFound, "Check the model id and the region. Some models require an inference profile."),
    (e.ModelNotReady, "Wait a minute and try again: the model is still loading."),
    (e.ServiceError, "Try again. If the error persists, contact AWS support with the request id."),
    (e.InvalidFrame, "Everything after the damaged frame was discarded. Inspect it under Frames, or try again."),
    (e.StreamInterrupted, "The response above is incomplete. Try again."),
    (e.ToolInputError, "Increase the maximum output tokens: the input of the tool call was cut off."),
    (e.ToolRoundsExceeded, "Ask for less at once, or disable the tools."),
    (e.TimeLimitError, "Try again. The service did not respond within the time limit."),
    (e.ClientClosed, "Restart the playground."),
    (e.TransportError, "Check the network and the proxy settings."),
    (e.NotAnEventStream, "The response did not come from Bedrock. Check for a proxy between this machine and AWS."),
)


def describe_error(error: e.BedrockStreamError) -> ErrorView:
    """Return the page's view of an error."""
    if isinstance(error, e.ConfigurationError):
        return ErrorView(kind=type(error).__name__, message=f"{error.argument}: {error.problem}", remedy=error.remedy)
    remedy = next((remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), "")
    view = ErrorView(
        kind=type(error).__name__,
        message=str(error),
        remedy=remedy,
        request_id=error.request_id,
        events_received=error.events_received,
    )
    if not isinstance(error, e.ServiceError):
        return view
    return msgspec.structs.replace(
        view,
        message=error.message or str(error),
        code=error.code or None,
        status=error.status,
        retryable=error.retryable,
        mid_stream=error.mid_stream,
    )
