"""The way to an address, through a proxy or not, and the text of an error on it."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
import msgspec

from ..errors import service_error
from .http_protocol import MalformedResponse
from .proxies import Proxy

__all__ = ("Route", "origin_of")


class Route(msgspec.Struct, frozen=True):
    """A proxy and a TLS context."""

    proxy: Proxy | None
    context: ssl.SSLContext | None
    """None for aiohttp's default."""

    @property
    def login(self) -> dict[str, str]:
        login = self.proxy.authorization if self.proxy else None
        return {"Proxy-Authorization": login} if login else {}

    def options(self, *, tunnel: bool) -> dict[str, Any]:
        """Return the arguments that aiohttp takes for this way. The login of a tunnel is sent to the proxy alone."""
        return {
            "proxy": self.proxy.url if self.proxy else None,
            "proxy_headers": self.login if tunnel else None,
            "ssl": self.context or True,
        }

    @property
    def through(self) -> str:
        return f" through {self.proxy}" if self.proxy else ""

    def refusal(self, status: int, reason: str) -> str:
        reason = f" {_printable(reason)[:200].strip()}" if reason.strip() else ""
        remedy = "; use http://user:password@host:port with the right login, percent-encoded" if status == 407 else ""
        return f"{self.proxy} refused with {status}{reason}{remedy}"

    @staticmethod
    def is_retryable(error: Exception) -> bool:
        """Return whether the same request may succeed later: a proxy that refused it may only be busy."""
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return error.status >= 500 and service_error(None, "", error.status).retryable
        refused = (aiohttp.ClientResponseError, aiohttp.ClientConnectorCertificateError, MalformedResponse)
        return not isinstance(error, refused)

    def failure(self, error: Exception) -> str:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = getattr(error.certificate_error, "verify_message", None) or error.certificate_error
            return (
                f"the certificate of {error.host}:{error.port} is not trusted: {reason}; "
                "set AWS_CA_BUNDLE to a bundle with its authority, or pass a context that trusts it as Client(ssl=...)"
            )
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return self.refusal(error.status, error.message)
        # With a proxy, the only host name that is resolved here is the proxy's.
        if self.proxy and isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientConnectorDNSError):
            return f"{self.proxy} cannot be reached: {error.os_error or type(error.os_error).__name__}"
        if isinstance(error, aiohttp.ClientConnectorError):  # its text contains the TLS context
            reason = error.strerror or error.os_error or type(error.os_error).__name__
            return f"no response{self.through}: cannot connect to {error.host}:{error.port}: {reason}"
        text = f"{error.status}, {error.message}" if isinstance(error, aiohttp.ClientResponseError) else str(error)
        return f"no response{self.through}: {_printable(text) or type(error).__name__}"


def _printable(text: str) -> str:
    """Return a text in which aiohttp has kept bytes that are not UTF-8, without them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def origin_of(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
