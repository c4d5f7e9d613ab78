"""Errors that the gateway itself raises for a request, and their responses in OpenAI's format."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Scope

from ..integrations.http_errors import ErrorDetails
from ..integrations.protocols.openai import error_json
from .logs import log_response

__all__ = ("RequestError", "error_response")


class RequestError(Exception):
    """A request that the gateway rejects before it calls Bedrock."""

    def __init__(self, status: int, message: str, *, code: str = "", param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        """The invalid member of the request."""


def error_response(scope: Scope, error: RequestError) -> JSONResponse:
    """Build the HTTP response for a rejected request, and log it."""
    log_response(scope, error.status, error.code)
    details = ErrorDetails(status=error.status, type="", message=error.message, code=error.code)
    # RFC 9110 requires a challenge in every 401 response.
    headers: dict[str, Any] = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    return JSONResponse(error_json(details, error.param), error.status, headers)
