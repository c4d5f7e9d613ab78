"""What the gateway refuses itself, in OpenAI's form."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from ..integrations.http_errors import Problem
from ..integrations.protocols.openai import error_json

__all__ = ("Refused", "refuse")


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, message: str, *, code: str = "", param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        """The member of the request that is wrong."""


def refuse(refused: Refused) -> JSONResponse:
    """The response."""
    problem = Problem(status=refused.status, type="", message=refused.message, code=refused.code)
    headers: dict[str, Any] = {"www-authenticate": "Bearer"} if refused.status == 401 else {}
    return JSONResponse(error_json(problem, refused.param), refused.status, headers)
