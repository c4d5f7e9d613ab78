"""Gather facts over the network: the credentials, the way to the endpoint, and one paid call.

Everything has a time limit, and names are looked up in threads that do not delay the end of the process. A failure is a
fact, never an exception.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from time import perf_counter
from urllib.parse import urlsplit

from ...auth.credentials import Credentials
from ...auth.resolver import CredentialResolver
from ...auth.sources import Http, HttpAnswer
from ...auth.threads import run_in_thread
from ...errors import BedrockStreamError, ConfigurationError
from ...request.endpoints import Endpoint
from ...transport.certificates import Certificates
from ...transport.proxies import Proxy
from ...types.settings import DEFAULT_REGION
from .api_keys import read_api_key
from .facts import Certificate, Identity, Reach, Settings, Trouble

__all__ = ("Limits", "fetch_identity", "reach_endpoint")

_PORTS = {"http": 80, "https": 443}


class Limits:
    """Time limits in seconds."""

    credentials: float = 15.0
    lookup: float = 5.0
    connect: float = 10.0
    response: float = 10.0


# ----------------------------------------------------------------------------------------------------- the credentials


async def fetch_identity(
    settings: Settings, profile: str | None, http: Http, clock: Callable[[], datetime]
) -> Identity:
    """Return the credentials that a client would use."""
    place, scheme = None, ""
    try:
        resolver = CredentialResolver(None, profile, clock)
        source = resolver.key_source(None)
        place, scheme = source.name, source.scheme
        region = DEFAULT_REGION if settings.region_error else settings.region  # STS has a host in each region
        found = await resolver.resolve(source, http, region, limit=Limits.credentials)
    except BedrockStreamError as error:
        return Identity(place=place, scheme=scheme, error=error)
    if isinstance(found, Credentials):
        return Identity(
            place=place,
            scheme=scheme,
            key=f"...{found.access_key_id[-4:]}",
            temporary=found.session_token is not None,
            expires_at=found.expires_at,
        )
    key_region, end = read_api_key(found.token)
    return Identity(place=place, scheme=scheme, temporary=end is not None, expires_at=end, region=key_region)


# -------------------------------------------------------------------------------------------------------- the endpoint


async def reach_endpoint(
    endpoint: Endpoint, proxy: Proxy | None, certificates: Certificates, http: Http, clock: Callable[[], datetime]
) -> Reach:
    """Return how far a request gets on its way to the endpoint: name, connection, TLS, response."""
    parts = urlsplit(endpoint.url if proxy is None else proxy.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        async with asyncio.timeout(Limits.lookup):
            addresses = await _look_up(host, port)
    except TimeoutError:
        return Reach(trouble=Trouble("dns", f"{host} was not resolved within {Limits.lookup:g} s"))
    except OSError as error:
        return Reach(trouble=Trouble("dns", f"{host} cannot be resolved: {error.strerror or error}"))
    certificate = None
    if proxy is None:
        try:
            certificate = await _connect(host, port, certificates if parts.scheme == "https" else None)
        except (OSError, ConfigurationError) as failure:
            return Reach(addresses=addresses, trouble=_connect_trouble(failure, f"{host}:{port}"))
    before, began = clock(), perf_counter()
    try:
        response = await http("GET", f"{endpoint.url}/", seconds=Limits.response)
    except BedrockStreamError as failure:
        return Reach(addresses=addresses, certificate=certificate, trouble=_response_trouble(failure, proxy))
    return Reach(
        addresses=addresses,
        certificate=certificate,
        status=response.status,
        is_aws="x-amzn-requestid" in response.headers,
        seconds=perf_counter() - began,
        offset=_offset(response, before, clock()),
    )


async def _look_up(host: str, port: int) -> tuple[str, ...]:
    found = await run_in_thread(partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


async def _connect(host: str, port: int, certificates: Certificates | None) -> Certificate | None:
    """Open and close a connection, with TLS if there are certificates. Raises `OSError`, `ConfigurationError`."""
    context = None
    if certificates is not None:
        context = await certificates.context() or ssl.create_default_context()
    async with asyncio.timeout(Limits.connect):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        tls = writer.get_extra_info("ssl_object")
        return None if tls is None else Certificate(tls.version() or "TLS", _issuer(tls.getpeercert() or {}))
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


def _issuer(certificate: Mapping[str, object]) -> str:
    """Return who issued a certificate, in the form of `SSLSocket.getpeercert`."""
    issuer = certificate.get("issuer")
    names = dict(pair for group in issuer for pair in group) if isinstance(issuer, tuple) else {}
    return str(names.get("organizationName") or names.get("commonName") or "an unnamed authority")


def _connect_trouble(failure: OSError | ConfigurationError, address: str) -> Trouble:
    if isinstance(failure, ConfigurationError):
        return Trouble("tls", failure.problem, error=failure)
    if isinstance(failure, ssl.SSLCertVerificationError):
        return Trouble(
            "tls", f"the certificate of {address} is not trusted: {failure.verify_message}", failure.verify_code
        )
    if isinstance(failure, ssl.SSLError):
        return Trouble("tls", f"the TLS handshake with {address} failed: {failure.reason or failure}")
    if isinstance(failure, TimeoutError):
        return Trouble("connect", f"no connection to {address} within {Limits.connect:g} s")
    return Trouble("connect", f"cannot connect to {address}: {failure.strerror or failure}")


def _response_trouble(failure: BedrockStreamError, proxy: Proxy | None) -> Trouble:
    if isinstance(failure, ConfigurationError):
        return Trouble("tls", failure.problem, error=failure)
    cause = failure.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError | ssl.SSLError):
        error = getattr(cause, "certificate_error", cause)  # aiohttp's own class carries the original
        return Trouble("tls", str(failure).partition(";")[0], getattr(error, "verify_code", 0))
    is_of_proxy = proxy is not None and str(failure).startswith(str(proxy))
    return Trouble("proxy" if is_of_proxy else "http", str(failure))


def _offset(response: HttpAnswer, before: datetime, after: datetime) -> float | None:
    """Return how far the service's clock is ahead of the local one, in seconds."""
    try:
        date = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return None
    date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
    return (date - (before + (after - before) / 2)).total_seconds()
