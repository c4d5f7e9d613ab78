"""Keys of the role that a container or an instance runs with, from the small services beside it.

These services are local and plain http, so no proxy ever stands between: every request goes direct. What the variables
say is checked before anything is sent, for a token goes along: a container's endpoint is https, this machine, or
link-local. Of the instance's service only version 2 is spoken, which a request forged through some other server cannot.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from anyio import sleep, to_thread

from ..errors import ClientClosed, ConfigurationError, CredentialsUnavailable, TransportError
from .credentials import Credentials
from .sources import HttpAnswer, SourceContext, read_document

__all__ = ("ContainerRole", "InstanceRole")

_PAUSE = 0.1  # seconds between attempts

# ------------------------------------------------------------------------------------------------------- the container

_CONTAINER_HOST = "http://169.254.170.2"
_CONTAINER_SECONDS = 2.0
_CONTAINER_ATTEMPTS = 3
_CONTAINER_IPV6 = ipaddress.ip_address("fd00:ec2::23")  # of EKS pod identity, and not link-local
_RELATIVE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
_FULL = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - a variable's name
_TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - a variable's name
_LONGEST_TOKEN = 16 * 1024


class ContainerRole:
    """The role of an ECS task or of a pod with EKS Pod Identity, as the container's variables name it."""

    name = "the container's role"

    def __repr__(self) -> str:
        return "ContainerRole()"

    async def fetch(self, context: SourceContext) -> Credentials:
        """New keys. Raises `CredentialsUnavailable`; `ConfigurationError` where a variable cannot be used."""
        environ = context.environ
        url = _container_url(environ)
        if url is None:
            raise CredentialsUnavailable(self.name, f"neither {_RELATIVE} nor {_FULL} is set")
        token = await self._token(environ)
        headers = {"Accept": "application/json"} | ({"Authorization": token} if token else {})
        service = _Service(self.name, context, _CONTAINER_SECONDS, _CONTAINER_ATTEMPTS)
        answer = await service.ask("GET", url, headers)
        if answer.status != 200:
            raise CredentialsUnavailable(self.name, f"its service answered HTTP {answer.status}")
        return read_document(self.name, answer.body, [token])

    async def _token(self, environ: Mapping[str, str]) -> str:
        """What the service wants to see; empty where it wants nothing. The file is read anew each time: it rotates."""
        source, token = _TOKEN, environ.get(_TOKEN, "")
        if path := environ.get(_TOKEN_FILE, "").strip():
            source = _TOKEN_FILE
            token = await to_thread.run_sync(self._read, Path(path), abandon_on_cancel=True)
            if not token.strip():
                raise CredentialsUnavailable(self.name, f"{path}, which {_TOKEN_FILE} names, is empty")
        if not token.strip():
            return ""
        if not token.isascii() or not token.isprintable() or len(token) > _LONGEST_TOKEN:
            problem = "it holds a line break, or something else that no header holds"
            raise ConfigurationError(source, problem, "write the token alone, without a line break at its end")
        return token

    def _read(self, path: Path) -> str:
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return file.read(_LONGEST_TOKEN + 1)
        except OSError as error:
            reason = f"{path} cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            reason = f"{path} is not text"
        raise CredentialsUnavailable(self.name, reason)


def _container_url(environ: Mapping[str, str]) -> str | None:
    if path := environ.get(_RELATIVE, "").strip():
        if not path.startswith("/") or not _is_plain(path):
            raise ConfigurationError(_RELATIVE, f"{path!r} is no path", "use /PATH")
        return f"{_CONTAINER_HOST}{path}"
    url = environ.get(_FULL, "").strip()
    if not url:
        return None
    scheme, host = _parts(_FULL, url, query=True)
    if scheme == "http" and not _is_near(host):
        problem = f"http://{host} is neither this machine nor link-local, and what is said there can be read"
        raise ConfigurationError(_FULL, problem, "use https, or an address of this machine")
    return url


def _is_near(host: str) -> bool:
    """Whether nobody between can read what is said in plain http. Names other than localhost could lead anywhere."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if getattr(address, "ipv4_mapped", None):
        return False  # Python's versions do not agree on what these are
    return address.is_loopback or address.is_link_local or address == _CONTAINER_IPV6


# -------------------------------------------------------------------------------------------------------- the instance

_INSTANCE_HOSTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
_DISABLED = "AWS_EC2_METADATA_DISABLED"
_TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
_ROLE_PATH = "/latest/meta-data/iam/security-credentials/"
_TOKEN_LIFE = "300"  # noqa: S105 - seconds; for the two requests that follow
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_MOST_ATTEMPTS = 10


class InstanceRole:
    """The role of an EC2 instance, from its metadata service (IMDSv2)."""

    name = "the instance's role"

    def __repr__(self) -> str:
        return "InstanceRole()"

    async def fetch(self, context: SourceContext) -> Credentials:
        """New keys. Raises `CredentialsUnavailable`; `ConfigurationError` where a variable cannot be used."""
        if context.environ.get(_DISABLED, "").strip().lower() == "true":
            raise CredentialsUnavailable(self.name, f"{_DISABLED} switches it off")
        service = _Service(self.name, context, _seconds(context), _attempts(context))
        url = _instance_url(context)
        token = await self._token(service, url)
        headers = {"x-aws-ec2-metadata-token": token}
        role = await self._get(service, f"{url}{_ROLE_PATH}", headers)
        name = role.body[:200].decode("utf-8", "replace").strip()
        if not _ROLE_NAME.fullmatch(name) or set(name) <= {"."}:
            raise CredentialsUnavailable(self.name, "its service names no role")
        document = await self._get(service, f"{url}{_ROLE_PATH}{name}", headers)
        return read_document(self.name, document.body, [token])

    async def _token(self, service: _Service, url: str) -> str:
        answer = await service.ask("PUT", f"{url}{_TOKEN_PATH}", {"x-aws-ec2-metadata-token-ttl-seconds": _TOKEN_LIFE})
        token = answer.body[: _LONGEST_TOKEN + 1].decode("latin-1")
        if answer.status != 200:
            raise CredentialsUnavailable(self.name, f"its service gave no token, but HTTP {answer.status}")
        if not 0 < len(token) <= _LONGEST_TOKEN or not token.isascii() or not token.isprintable():
            raise CredentialsUnavailable(self.name, "its service gave something that is no token")
        return token

    async def _get(self, service: _Service, url: str, headers: Mapping[str, str]) -> HttpAnswer:
        answer = await service.ask("GET", url, headers)
        if answer.status == 404:
            raise CredentialsUnavailable(self.name, "the instance has none")
        if answer.status != 200:
            raise CredentialsUnavailable(self.name, f"its service answered HTTP {answer.status}")
        return answer


def _instance_url(context: SourceContext) -> str:
    variable, url = _setting(context, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint")
    if url:
        _parts(variable, url)
        return url.rstrip("/")
    variable, mode = _setting(context, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode")
    if (mode or "ipv4").lower() not in _INSTANCE_HOSTS:
        raise ConfigurationError(variable, f"{mode!r} is no mode", "use IPv4 or IPv6")
    return _INSTANCE_HOSTS[(mode or "ipv4").lower()]


def _seconds(context: SourceContext) -> float:
    variable, text = _setting(context, "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout")
    with contextlib.suppress(ValueError):
        seconds = float(text or 1)
        if 0 < seconds < float("inf"):
            return seconds
    raise ConfigurationError(variable, f"{text!r} is no time limit", "give seconds")


def _attempts(context: SourceContext) -> int:
    variable, text = _setting(context, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts")
    with contextlib.suppress(ValueError):
        attempts = int(text or 1)
        if 1 <= attempts <= _MOST_ATTEMPTS:
            return attempts
    raise ConfigurationError(variable, f"{text!r} is no number of attempts", f"give 1 to {_MOST_ATTEMPTS}")


def _setting(context: SourceContext, variable: str, setting: str) -> tuple[str, str]:
    """Where it stands, and what it says: the variable, then the profile; blank counts as absent."""
    text = context.environ.get(variable, "").strip()
    if text or not context.settings.get(setting, "").strip():
        return variable, text
    return f"{setting} of the profile", context.settings[setting].strip()


# ------------------------------------------------------------------------------------------------- what both of them do


class _Service:
    """A small service beside us, asked again where it did not answer or failed."""

    def __init__(self, source: str, context: SourceContext, seconds: float, attempts: int) -> None:
        self._source = source
        self._outside = context
        self._seconds = seconds
        self._attempts = attempts

    async def ask(self, method: str, url: str, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer of the last attempt. Raises `CredentialsUnavailable` where there is none."""
        for left in reversed(range(self._attempts)):
            try:
                answer = await self._outside.http(method, url, headers=headers, seconds=self._seconds, direct=True)
            except ClientClosed:
                raise
            except TransportError as error:
                reason = f"its service at {urlsplit(url).netloc} could not be asked: {error}"
            else:
                if answer.status < 500 or not left:
                    return answer
            if left:
                await sleep(_PAUSE)
        raise CredentialsUnavailable(self._source, reason)


def _parts(variable: str, url: str, *, query: bool = False) -> tuple[str, str]:
    """Scheme and host of an address. The whole is not shown: it may hold a password."""
    with contextlib.suppress(ValueError):  # brackets that do not match, a port that is no number
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.port != 0 and (query or "?" not in url)
        if _is_plain(url) and known and parts.hostname and "@" not in parts.netloc:
            return parts.scheme, parts.hostname
    raise ConfigurationError(variable, "it is no address", "use http[s]://HOST[:PORT][/PATH]")


def _is_plain(text: str) -> bool:
    """Whether it can stand in a request line as it is."""
    return text.isascii() and text.isprintable() and not set(text) & set(" #\\")
