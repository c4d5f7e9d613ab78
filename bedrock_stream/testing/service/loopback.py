"""Host and Origin checks of an emulator on loopback, against DNS rebinding and requests of web pages."""

from __future__ import annotations

from aiohttp import web

from ...request.endpoints import is_loopback
from ...request.origins import host_of_header, host_of_origin
from .refusal import Refusal

__all__ = ("check_origin",)


def check_origin(http: web.BaseRequest) -> None:
    """Check that `Host`, and `Origin` where there is one, name a loopback address. Raises `Refusal`."""
    # A page in a browser can send requests to loopback, under a host name of its own that resolves to 127.0.0.1.
    hosts = [host_of_header(value) for value in http.headers.getall("Host", [])]
    origins = [host_of_origin(value) for value in http.headers.getall("Origin", [])]
    if len(hosts) != 1 or not all(map(is_loopback, hosts + origins)):
        raise Refusal(403, "AccessDeniedException", "This emulator answers on loopback only.")
