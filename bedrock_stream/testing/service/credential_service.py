"""Services on this machine that return temporary credentials: STS, instance metadata and a container's endpoint.

They accept every request of the right form, signed or not, and fail where a script says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Literal, Self, TypeAlias, get_args
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import msgspec
from aiohttp import web

from ...errors import ConfigurationError
from .loopback import check_origin
from .refusal import Refusal
from .server import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from .verification import Keys

__all__ = ("CredentialFault", "CredentialService", "Foreign")

_Name: TypeAlias = Literal["hang", "busy", "expired"]
_NAMES = get_args(_Name)

_CONTAINER = "/container/credentials"
_ROLES = "/latest/meta-data/iam/security-credentials/"
_ROLE = "role"
_METADATA_TOKEN = "metadata-token-example"  # noqa: S105 - of a service without secrets
_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_AGO = timedelta(minutes=3)  # since the end of credentials that have expired
_SHUTDOWN_TIMEOUT = 0.2  # seconds for open connections on close


class Foreign(msgspec.Struct, frozen=True):
    """A response that is not of the service, such as a load balancer's page."""

    status: int
    body: str = ""
    content_type: str = "text/html"


CredentialFault: TypeAlias = _Name | Foreign
"""`hang`: no response. `busy`: the service's own refusal for too many requests. `expired`: credentials past their end.
`Foreign`: another response."""


class CredentialService:
    """STS, instance metadata (IMDSv2) and a container's endpoint: `async with CredentialService() as service: ...`.

    `service.environ("sts")`, `"instance"` or `"container"` has the environment variables that select one of them, and
    `Emulator(credentials=service.keys)` accepts what they return. `script("busy", "hang")` lets the next requests for
    credentials fail, one fault for each; later ones succeed.

    - `keys`: the credentials that are returned.
    - `lifetime`: seconds until they expire.
    - `clock`: returns the current time as an aware datetime.
    """

    def __init__(
        self,
        *,
        keys: Keys = Keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, "session-token-example"),  # noqa: B008 - immutable
        lifetime: float = 3600,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.keys: Keys = keys
        """The credentials that are returned."""
        self.requests: list[str] = []
        """Method and path of each request, the oldest first."""
        self._lifetime = timedelta(seconds=lifetime)
        self._clock = clock
        self._faults: deque[CredentialFault] = deque()
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The base URL: `http://127.0.0.1:PORT`. Raises `RuntimeError` if it is not running."""
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the service is not running: use `async with CredentialService()`")
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def environ(self, service: str) -> dict[str, str]:
        """Return the environment variables for `sts`, `instance` or `container`."""
        variables: Mapping[str, dict[str, str]] = {
            "sts": {"AWS_ENDPOINT_URL_STS": self.url},
            "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url, "AWS_EC2_METADATA_DISABLED": "false"},
            "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.url + _CONTAINER},
        }
        if service not in variables:
            raise ConfigurationError("service", f"expected one of {', '.join(variables)}, got {service!r}")
        return variables[service]

    def script(self, *faults: CredentialFault) -> None:
        """Let the next requests for credentials fail, one fault for each. Raises `ConfigurationError`."""
        for fault in faults:
            if not isinstance(fault, Foreign) and fault not in _NAMES:
                raise ConfigurationError(
                    "faults", f"expected Foreign(...) or one of {', '.join(_NAMES)}, got {fault!r}"
                )
        self._faults.extend(faults)

    async def __aenter__(self) -> Self:
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    # ------------------------------------------------------------------------------------------------------- internals

    async def _serve(self, http: web.BaseRequest) -> web.Response:
        self.requests.append(f"{http.method} {http.path}")
        try:
            check_origin(http)
        except Refusal as refusal:
            return web.Response(status=refusal.status, text=str(refusal.message))
        if http.method == "POST" and http.path == "/":
            return await self._sts(http)
        if (http.method, http.path) == ("GET", _CONTAINER):
            return await self._document()
        return await self._instance(http)

    async def _sts(self, http: web.BaseRequest) -> web.Response:
        form = parse_qs(await http.text())
        operation = form.get("Action", [""])[0]
        if operation not in ("AssumeRole", "AssumeRoleWithWebIdentity"):
            return _sts_error(400, "InvalidAction", "Could not find operation.")
        if operation == "AssumeRole" and "Authorization" not in http.headers:
            return _sts_error(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        fault = await self._fault()
        if fault == "busy":
            return _sts_error(400, "Throttling", "Rate exceeded")
        if isinstance(fault, Foreign):
            return _foreign(fault)
        members = {
            "AccessKeyId": self.keys.access_key_id,
            "SecretAccessKey": self.keys.secret_access_key,
            "SessionToken": self.keys.session_token or "",
            "Expiration": self._end(fault),
        }
        inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
        result = f"<{operation}Result><Credentials>{inner}</Credentials></{operation}Result>"
        text = f'<{operation}Response xmlns="{_NAMESPACE}">{result}</{operation}Response>'
        return web.Response(text=text, content_type="text/xml")

    async def _instance(self, http: web.BaseRequest) -> web.Response:
        if (http.method, http.path) == ("PUT", "/latest/api/token"):
            return web.Response(text=_METADATA_TOKEN)
        if http.method != "GET" or http.headers.get("X-aws-ec2-metadata-token") != _METADATA_TOKEN:
            return web.Response(status=401)
        if http.path == _ROLES:
            return web.Response(text=_ROLE)
        return await self._document() if http.path == _ROLES + _ROLE else web.Response(status=404)

    async def _document(self) -> web.Response:
        """Return the credentials as JSON, as the metadata services do."""
        fault = await self._fault()
        if fault == "busy":
            return web.Response(status=429, text="You have reached maximum request limit.")
        if isinstance(fault, Foreign):
            return _foreign(fault)
        document = {
            "Code": "Success",
            "AccessKeyId": self.keys.access_key_id,
            "SecretAccessKey": self.keys.secret_access_key,
            "Token": self.keys.session_token,
            "Expiration": self._end(fault),
        }
        return web.json_response(document)

    async def _fault(self) -> CredentialFault | None:
        fault = self._faults.popleft() if self._faults else None
        if fault == "hang":
            await asyncio.Event().wait()  # until the client leaves, or the service is closed
        return fault

    def _end(self, fault: CredentialFault | None) -> str:
        end = self._clock().astimezone(UTC) + (-_AGO if fault == "expired" else self._lifetime)
        return f"{end:%Y-%m-%dT%H:%M:%SZ}"


def _foreign(fault: Foreign) -> web.Response:
    return web.Response(status=fault.status, text=fault.body, content_type=fault.content_type)


def _sts_error(status: int, code: str, message: str) -> web.Response:
    text = (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>request-example</RequestId></ErrorResponse>"
    )
    return web.Response(status=status, text=text, content_type="text/xml")
