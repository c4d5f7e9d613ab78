"""Credentials of the role of a container or an EC2 instance, from their metadata endpoints.

These endpoints are local and use plain http, so requests to them never go through a proxy. The variables are checked
before a request is sent, since it carries a token: a container's endpoint must use https, or be on this machine or
link-local. Only version 2 of the instance metadata service is supported (IMDSv2): it needs a token from a PUT request,
which a server-side request forgery usually cannot send.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar
from urllib.parse import urlsplit

from ..errors import ClientClosed, ConfigurationError, CredentialsUnavailable, TransportError
from .credentials import Credentials
from .outages import ATTEMPTS, failure_words, is_outage, outage, retry_pause
from .responses import parse_document
from .sources import HttpAnswer, SourceContext
from .threads import run_in_thread
from .token_file import read_token_file

__all__ = ("ContainerRole", "InstanceRole")

_T = TypeVar("_T")

# ------------------------------------------------------------------------------------------------------- the container

# ECS serves the relative URI at this fixed address.
_CONTAINER_HOST = "http://169.254.170.2"
_CONTAINER_SECONDS = 2.0  # as in botocore
_CONTAINER_IPV6 = ipaddress.ip_address("fd00:ec2::23")  # of EKS Pod Identity; unique local, not link-local
_RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
_FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - a variable's name
_TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - a variable's name
_MAX_TOKEN_LENGTH = 16 * 1024


class ContainerRole:
    """The role of an ECS task or of a pod with EKS Pod Identity, from the endpoint in the container's variables."""

    name = "the container role"

    def __repr__(self) -> str:
        return "ContainerRole()"

    async def fetch(self, context: SourceContext) -> Credentials:
        """Return new credentials.

        Raises `CredentialsUnavailable`, and `ConfigurationError` if a variable cannot be used.
        """
        environ = context.environ
        url = _container_url(environ)
        if url is None:
            raise CredentialsUnavailable(self.name, f"neither {_RELATIVE_URI} nor {_FULL_URI} is set")
        token = await self._token(environ)
        headers = {"Accept": "application/json"} | ({"Authorization": token} if token else {})
        endpoint = _Endpoint(self.name, "the endpoint", context, _CONTAINER_SECONDS)
        return await endpoint.ask("GET", url, headers, lambda body: parse_document(self.name, body, [token]), [token])

    async def _token(self, environ: Mapping[str, str]) -> str:
        """Return the `Authorization` value, or "" if none is configured."""
        variable, token = _TOKEN, environ.get(_TOKEN, "")
        # The file takes precedence over the variable. EKS rotates the token in it, so it is read for each fetch.
        if path := environ.get(_TOKEN_FILE, "").strip():
            variable = _TOKEN_FILE
            read = partial(read_token_file, self.name, Path(path), _MAX_TOKEN_LENGTH)
            token = await run_in_thread(read)
            if not token.strip():
                raise CredentialsUnavailable(self.name, f"{path}, which {_TOKEN_FILE} names, is empty")
        if not token.strip():
            return ""
        # As in botocore, a token with a line break is an error and is not stripped.
        if not token.isascii() or not token.isprintable() or len(token) > _MAX_TOKEN_LENGTH:
            problem = "contains a line break, or other characters that cannot occur in a header, or is too long"
            raise ConfigurationError(variable, problem, "write the token alone, without a line break at its end")
        return token


def _container_url(environ: Mapping[str, str]) -> str | None:
    # The full URI is used only if the relative one is not set.
    if path := environ.get(_RELATIVE_URI, "").strip():
        if not path.startswith("/") or not _fits_request_line(path):
            raise ConfigurationError(_RELATIVE_URI, f"expected /PATH, got {path!r}")
        return f"{_CONTAINER_HOST}{path}"
    url = environ.get(_FULL_URI, "").strip()
    if not url:
        return None
    scheme, host = _parse_url(_FULL_URI, url, allow_query=True)
    # https is allowed to any host, plain http only where the network cannot read the token and the credentials.
    if scheme == "http" and not _is_local(host):
        problem = f"http://{host} is neither this machine nor link-local, so credentials would be sent unencrypted"
        raise ConfigurationError(_FULL_URI, problem, "use https, or an address of this machine")
    return url


def _is_local(host: str) -> bool:
    """Return whether a host is this machine or link-local. Names other than localhost could resolve to any address."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if getattr(address, "ipv4_mapped", None):
        return False  # Python versions disagree on whether these are loopback or link-local
    return address.is_loopback or address.is_link_local or address == _CONTAINER_IPV6


# -------------------------------------------------------------------------------------------------------- the instance

_INSTANCE_HOSTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
_DISABLED = "AWS_EC2_METADATA_DISABLED"
_TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
_ROLE_PATH = "/latest/meta-data/iam/security-credentials/"
_TOKEN_TTL = "300"  # noqa: S105 - seconds, of 1 to 21600; for the two requests that follow
# What the service returns for what it does not have, or does not allow. It adds no code.
_INSTANCE_REFUSALS = frozenset({400, 401, 403, 404, 405})
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_MAX_ATTEMPTS = 10


class InstanceRole:
    """The role of an EC2 instance, from its metadata service (IMDSv2).

    The service keeps returning credentials past their end while it cannot renew them. They are used until Bedrock
    refuses them, as in the AWS SDKs ("static stability").
    """

    name = "the instance role"
    outlives_expiry: ClassVar[bool] = True
    """Whether cached credentials are used past their end while the source has no others."""

    def __repr__(self) -> str:
        return "InstanceRole()"

    async def fetch(self, context: SourceContext) -> Credentials:
        """Return new credentials.

        Raises `CredentialsUnavailable`, and `ConfigurationError` if a variable cannot be used.
        """
        if context.environ.get(_DISABLED, "").strip().lower() == "true":
            raise CredentialsUnavailable(self.name, f"{_DISABLED}=true disables it")
        attempts = _attempts(context)
        endpoint = _Endpoint(
            self.name,
            "the metadata service",
            context,
            _timeout(context),
            attempts or ATTEMPTS,
            # Most machines have no such service, so that it is not waited for thrice.
            unreachable_attempts=attempts or 1,
            refusals=_INSTANCE_REFUSALS,
        )
        url = _instance_url(context)
        # Three requests: a session token, the name of the instance's role, and that role's credentials.
        ttl = {"x-aws-ec2-metadata-token-ttl-seconds": _TOKEN_TTL}
        token = await endpoint.ask("PUT", f"{url}{_TOKEN_PATH}", ttl, self._read_token, what=" instead of a token")
        headers, roles = {"x-aws-ec2-metadata-token": token}, f"{url}{_ROLE_PATH}"
        no_role = {404: "the instance has no role"}  # no instance profile is attached
        role = await endpoint.ask("GET", roles, headers, self._read_role, [token], reasons=no_role)
        return await endpoint.ask(
            "GET",
            f"{roles}{role}",
            headers,
            lambda body: parse_document(self.name, body, [token]),
            [token],
            reasons=no_role,
        )

    def _read_token(self, body: bytes) -> str:
        # There is no fallback to IMDSv1, which responds without a token.
        token = body[: _MAX_TOKEN_LENGTH + 1].decode("latin-1")
        if not 0 < len(token) <= _MAX_TOKEN_LENGTH or not token.isascii() or not token.isprintable():
            raise CredentialsUnavailable(self.name, "the metadata service returned an invalid token")
        return token

    def _read_role(self, body: bytes) -> str:
        role = body[:200].decode("utf-8", "replace").strip()
        if not _ROLE_NAME.fullmatch(role) or set(role) <= {"."}:  # it becomes part of a path
            raise CredentialsUnavailable(self.name, "the metadata service returned an invalid role name")
        return role


def _instance_url(context: SourceContext) -> str:
    # An explicit endpoint takes precedence over the endpoint mode.
    name, url = _setting(context, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint")
    if url:
        _parse_url(name, url)
        return url.rstrip("/")
    name, mode = _setting(context, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode")
    if (mode or "ipv4").lower() not in _INSTANCE_HOSTS:
        raise ConfigurationError(name, f"expected IPv4 or IPv6, got {mode!r}")
    return _INSTANCE_HOSTS[(mode or "ipv4").lower()]


def _timeout(context: SourceContext) -> float:
    name, text = _setting(context, "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout")
    with contextlib.suppress(ValueError):
        seconds = float(text or 1)  # one second is the SDKs' default
        if 0 < seconds < float("inf"):
            return seconds
    raise ConfigurationError(name, f"expected a positive number of seconds, got {text!r}")


def _attempts(context: SourceContext) -> int | None:
    """Return how often each request is sent at most, if that is set."""
    name, text = _setting(context, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts")
    if not text:
        return None
    with contextlib.suppress(ValueError):
        attempts = int(text)
        if 1 <= attempts <= _MAX_ATTEMPTS:
            return attempts
    raise ConfigurationError(name, f"expected an int from 1 to {_MAX_ATTEMPTS}, got {text!r}")


def _setting(context: SourceContext, variable: str, setting: str) -> tuple[str, str]:
    """Return a setting's origin, for errors, and its value: the variable's, else the profile's. Blank is unset."""
    text = context.environ.get(variable, "").strip()
    if text or not context.settings.get(setting, "").strip():
        return variable, text
    return f"{setting} of the profile", context.settings[setting].strip()


# ----------------------------------------------------------------------------------------------------------- internals


class _Endpoint:
    """A metadata endpoint, called `title` in errors. A request is sent again after any failure that may pass.

    `refusals` are the statuses that are final although their response has no code.
    """

    def __init__(
        self,
        source: str,
        title: str,
        context: SourceContext,
        seconds: float,
        attempts: int = ATTEMPTS,
        *,
        unreachable_attempts: int = ATTEMPTS,
        refusals: frozenset[int] = frozenset(),
    ) -> None:
        self._source = source
        self._title = title
        self._context = context
        self._seconds = seconds
        self._attempts = attempts
        self._unreachable_attempts = unreachable_attempts
        self._refusals = refusals

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        read: Callable[[bytes], _T],
        secrets: Sequence[str] = (),
        *,
        what: str = "",
        reasons: Mapping[int, str] | None = None,
    ) -> _T:
        """Send a request and return what `read` makes of the body. Raises `CredentialsUnavailable`.

        `what` follows the status in the error, and `reasons` are the errors of statuses that have a meaning here.
        """
        retries = 0
        while True:
            attempts, error = self._attempts, None
            try:
                response = await self._context.http(method, url, headers=headers, seconds=self._seconds, direct=True)
                if response.status == 200:
                    return read(response.body)
                error = self._failure(response, secrets, what, reasons or {})
            except ClientClosed:
                raise
            except TransportError as failure:
                attempts = self._unreachable_attempts
                error = outage(self._source, f"the endpoint {urlsplit(url).netloc} could not be reached: {failure}")
            except CredentialsUnavailable as failure:
                error = failure
            retries += 1
            if not error.retryable or retries >= attempts:
                raise error  # outside of `except`, so that nothing is chained
            await asyncio.sleep(retry_pause(retries - 1))

    def _failure(
        self, response: HttpAnswer, secrets: Sequence[str], what: str, reasons: Mapping[int, str]
    ) -> CredentialsUnavailable:
        """Return the error for a status other than 200."""
        status = response.status
        if status in reasons:
            return CredentialsUnavailable(self._source, reasons[status])
        code, words = failure_words(response.body, secrets)
        reason = f"{self._title} returned HTTP {status}{what}" + (f": {words}" if words else "")
        if status not in self._refusals and is_outage(status, code):
            return outage(self._source, reason)
        return CredentialsUnavailable(self._source, reason)


def _parse_url(variable: str, url: str, *, allow_query: bool = False) -> tuple[str, str]:
    """Return the scheme and the host of a URL. Errors do not quote the URL, which may contain a password."""
    with contextlib.suppress(ValueError):  # unbalanced brackets, or a port that is not a number
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and parts.port != 0 and (allow_query or "?" not in url)
        # User information is refused: in `http://169.254.170.2@evil.example` it looks like the host.
        if _fits_request_line(url) and is_http and parts.hostname and "@" not in parts.netloc:
            return parts.scheme, parts.hostname
    raise ConfigurationError(variable, "is not a valid URL", "use http[s]://HOST[:PORT][/PATH]")


def _fits_request_line(text: str) -> bool:
    """Return whether a text can be sent in a request line without being encoded."""
    return text.isascii() and text.isprintable() and not set(text) & set(" #\\")
