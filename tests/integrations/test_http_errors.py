"""The HTTP status and the public message of each kind of error."""

from __future__ import annotations

import pytest

from bedrock_stream import errors
from bedrock_stream.integrations.http_errors import error_details


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (errors.MissingCredentials("credentials", "none in AWS_PROFILE"), 500, "not configured"),
        (errors.InvalidRequest("messages[0].role", "expected user"), 400, "messages[0].role: expected user"),
        (errors.InvalidRequest("body", "is too large", status=413), 413, "body: is too large"),
        (errors.RelayFull("1000 answers"), 503, "busy"),
        (errors.CredentialsUnavailable("sts", "10.0.0.1 said no"), 500, "not configured"),
        (errors.IdleTimeout(1, 2, 3), 504, "in time"),
        (errors.PoolTimeout(1, 2, 3), 504, "in time"),
        (errors.ClientClosed("closed"), 503, "shutting down"),
        (errors.ConnectionFailed("no answer: vpce-1.internal"), 502, "could not be reached"),
        (errors.StreamInterrupted("torn"), 502, "interrupted"),
        (errors.InvalidFrame("bad"), 502, "could not be read"),
        (errors.NotAnEventStream(200, "text/html", b"<internal>"), 502, "could not be read"),
        (errors.ToolRoundsExceeded(3), 502, "tool rounds"),
        (errors.service_error("ExpiredTokenException", "ASIA123 expired"), 403, "does not have access"),
        (errors.service_error("modelStreamErrorException", "the model failed"), 424, "the model failed"),
        (errors.service_error(None, "odd", 302), 502, "odd"),
    ],
)
def test_status_and_message(error: errors.BedrockStreamError, status: int, message: str) -> None:
    error.request_id = "r-1"
    details = error_details(error)
    assert (details.status, details.type, details.request_id) == (status, type(error).__name__, "r-1")
    assert message in details.message
    for secret in ("AWS_PROFILE", "10.0.0.1", "vpce", "internal", "ASIA123"):
        assert secret not in details.message


def test_retry_after_is_sent_if_the_service_sent_it() -> None:
    error = errors.service_error("ThrottlingException", "Slow down", 429)
    assert error_details(error).headers == {}
    vars(error)["retry_after"] = 2.2
    assert error_details(error).headers == {"retry-after": "3"}
