"""What a browser is told of each kind of failure."""

from __future__ import annotations

import pytest

from bedrock_stream import errors
from bedrock_stream.integrations.http_errors import problem_of


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (errors.MissingCredentials("credentials", "none in AWS_PROFILE"), 500, "not set up"),
        (errors.CredentialsUnavailable("sts", "10.0.0.1 said no"), 500, "not set up"),
        (errors.IdleTimeout(1, 2, 3), 504, "in time"),
        (errors.PoolTimeout(1, 2, 3), 504, "in time"),
        (errors.ClientClosed("closed"), 503, "shutting down"),
        (errors.ConnectionFailed("no answer: vpce-1.internal"), 502, "could not be reached"),
        (errors.StreamInterrupted("torn"), 502, "broke off"),
        (errors.InvalidFrame("bad"), 502, "could not be read"),
        (errors.NotAnEventStream(200, "text/html", b"<internal>"), 502, "could not be read"),
        (errors.ToolRoundsExceeded(3), 502, "more often"),
        (errors.service_error("ExpiredTokenException", "ASIA123 expired"), 403, "may not use"),
        (errors.service_error("modelStreamErrorException", "the model failed"), 424, "the model failed"),
        (errors.service_error(None, "odd", 302), 502, "odd"),
    ],
)
def test_status_and_words(error: errors.BedrockStreamError, status: int, message: str) -> None:
    error.request_id = "r-1"
    problem = problem_of(error)
    assert (problem.status, problem.type, problem.request_id) == (status, type(error).__name__, "r-1")
    assert message in problem.message
    for secret in ("AWS_PROFILE", "10.0.0.1", "vpce", "internal", "ASIA123"):
        assert secret not in problem.message


def test_how_long_to_wait_is_told_where_the_service_said() -> None:
    error = errors.service_error("ThrottlingException", "Slow down", 429)
    assert problem_of(error).headers == {}
    vars(error)["retry_after"] = 2.2
    assert problem_of(error).headers == {"retry-after": "3"}
