"""Who may come in at all: on loopback, only what was sent to loopback by name."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from ...request.endpoints import is_loopback
from .refusal import Refusal

__all__ = ("check_origin",)


def check_origin(http: web.BaseRequest) -> None:
    """A page in a browser may send requests to loopback under a name of its own. Raises `Refusal` for those."""
    named = [f"//{http.headers.get('Host', '')}"]
    if "Origin" in http.headers:
        named.append(http.headers["Origin"])
    for name in named:
        if not is_loopback(urlsplit(name).hostname or ""):
            raise Refusal(403, "AccessDeniedException", "This emulator answers on loopback only.")
