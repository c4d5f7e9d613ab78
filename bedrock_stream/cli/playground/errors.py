"""Errors as the page shows them: the class, what is known, and what to do about it."""

from __future__ import annotations

import msgspec

from ... import errors as e

__all__ = ("Trouble", "trouble")


class Trouble(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="error"):
    """One error."""

    kind: str
    """The class."""
    message: str
    remedy: str = ""
    code: str | None = None
    status: int | None = None
    request_id: str | None = None
    retryable: bool | None = None
    mid_stream: bool | None = None
    events_received: int = 0


# The first class that fits counts, so the narrower ones come first.
_REMEDIES: tuple[tuple[type[e.BedrockStreamError], str], ...] = (
    (e.Throttled, "Wait a moment and send it again; ask for a higher quota where it happens often."),
    (e.QuotaExceeded, "Ask for a higher quota in the Service Quotas console."),
    (e.ExpiredToken, "Sign in again: the session's keys have ended."),
    (e.SignatureExpired, "Set this machine's clock: it differs from the service's by more than five minutes."),
    (e.InvalidSignature, "Check the secret access key and the region."),
    (e.AccessDenied, "Check the keys, the IAM policy, and whether the model is enabled for the account."),
    (e.ContextWindowExceeded, "Start a new chat or shorten the prompt."),
    (e.ValidationFailed, "Change the options: this model does not take the request as it is."),
    (e.ResourceNotFound, "Check the model id and the region; some models are reached by an inference profile only."),
    (e.ModelNotReady, "Wait a minute and send it again: the model is being loaded."),
    (e.ServiceError, "Send it again; quote the request id to AWS support if it stays."),
    (e.InvalidFrame, "Nothing behind the damaged frame is believed. Send it again; look at it under Frames."),
    (e.StreamInterrupted, "The answer above is only its beginning. Send it again."),
    (e.ToolInputError, "Raise the token limit: the input of the tool call was cut."),
    (e.ToolRoundsExceeded, "Ask for less at once, or take the tools away."),
    (e.TimeLimitError, "Send it again; the service was silent for too long."),
    (e.ClientClosed, "Start the playground again."),
    (e.TransportError, "Check the network and the proxy settings."),
    (e.NotAnEventStream, "Something between here and Bedrock answered in its place, a proxy perhaps."),
)


def trouble(error: e.BedrockStreamError) -> Trouble:
    """What the page shows of an error."""
    if isinstance(error, e.ConfigurationError):
        return Trouble(kind=type(error).__name__, message=f"{error.argument}: {error.problem}", remedy=error.remedy)
    remedy = next((remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), "")
    known = Trouble(
        kind=type(error).__name__,
        message=str(error),
        remedy=remedy,
        request_id=error.request_id,
        events_received=error.events_received,
    )
    if not isinstance(error, e.ServiceError):
        return known
    return msgspec.structs.replace(
        known,
        message=error.message or str(error),
        code=error.code or None,
        status=error.status,
        retryable=error.retryable,
        mid_stream=error.mid_stream,
    )
