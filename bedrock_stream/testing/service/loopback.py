"""Host and Origin checks of an emulator on loopback, against DNS rebinding and requests of web pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from ...request.endpoints import is_loopback
from .refusal import Refusal

__all__ = ("check_origin",)


def check_origin(http: web.BaseRequest) -> None:
    """Check that `Host`, and `Origin` where there is one, name a loopback address. Raises `Refusal`."""
    # A page in a browser can send requests to loopback, under a host name of its own that resolves to 127.0.0.1.
    authorities = [f"//{http.headers.get('Host', '')}"]
    if "Origin" in http.headers:
        authorities.append(http.headers["Origin"])
    for authority in authorities:
        if not is_loopback(urlsplit(authority).hostname or ""):
            raise Refusal(403, "AccessDeniedException", "This emulator answers on loopback only.")
