"""The two sources that assume a role: `AssumeRole` with other credentials, `AssumeRoleWithWebIdentity` with a token.

Arguments are checked at construction, and only the role is shown in errors and in the repr. Requests go to the regional
STS endpoint, which AWS recommends over the global one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from urllib.parse import urlencode

from ...errors import ConfigurationError, CredentialsUnavailable
from ...request.endpoints import STS, resolve_endpoint
from ...types.checks import is_integer
from ...types.settings import DEFAULT_REGION, check_region
from ..credentials import Credentials
from ..sources import Provider, Source, SourceContext, call_provider
from ..threads import run_in_thread
from ..token_file import read_token_file
from .exchange import Exchange

__all__ = ("AssumeRole", "AssumeRoleWithWebIdentity", "TokenSource")

TokenSource: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A web identity token, or an (async) callable that returns it."""

_VERSION = "2011-06-15"

# The limits of the STS API reference. Python's \w would match letters of every script without the ASCII flag.
_MAX_TOKEN_LENGTH = 20_000
_ROLE_ARN = re.compile(r"arn:[a-z0-9-]+:iam::[0-9]{12}:role/[\x21-\x7e]{1,1984}")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)


class _Role:
    """The common base: arguments, the form, and the endpoint."""

    _operation: ClassVar[str]

    def __init__(
        self,
        role_arn: str,
        session_name: str,
        policy: str | Mapping[str, Any] | None,
        duration: int,
        region: str | None,
        endpoint_url: str | None,
    ) -> None:
        self.role_arn: str = _check(role_arn, _ROLE_ARN, "role_arn", "arn:aws:iam::ACCOUNT:role/NAME")
        """The role to assume."""
        self.session_name: str = _check(
            session_name, _SESSION_NAME, "session_name", "2 to 64 letters, digits or _+=,.@-"
        )
        """The name of the role session, which CloudTrail logs for the role's calls."""
        # STS accepts at most the role's maximum session duration, and one hour if the credentials are a role's as well.
        if not is_integer(duration) or not 900 <= duration <= 43200:
            raise ConfigurationError("duration", f"expected an int from 900 to 43200 (seconds), got {duration!r}")
        if region is not None:
            check_region(region, "region")
        if endpoint_url is not None:
            resolve_endpoint(DEFAULT_REGION, {}, {}, service=STS, endpoint_url=endpoint_url)
        self._form = {
            "Version": _VERSION,
            "RoleArn": role_arn,
            "RoleSessionName": session_name,
            "DurationSeconds": str(duration),
        }
        if policy is not None:
            self._form["Policy"] = _compact_policy(policy)
        self._region = region
        self._endpoint_url = endpoint_url

    @property
    def name(self) -> str:
        """The source's name in error texts and logs."""
        return f"{self._operation} of {self.role_arn}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(role_arn={self.role_arn!r}, session_name={self.session_name!r})"

    def _exchange(self, context: SourceContext, form: Mapping[str, str], secrets: Iterable[str]) -> Exchange:
        # The region selects the endpoint and is part of the signature's scope, so both must use the same one.
        region = self._region or context.region
        endpoint = resolve_endpoint(
            region, context.environ, context.settings, service=STS, endpoint_url=self._endpoint_url
        )
        return Exchange(
            source=self.name,
            operation=self._operation,
            url=f"{endpoint.url}/",
            region=region,
            body=urlencode({"Action": self._operation, **self._form, **form}).encode(),
            secrets=tuple(secrets),
        )


class AssumeRole(_Role):
    """Temporary credentials of a role, requested with other IAM credentials.

    `source` is where those come from: `Credentials`, an (async) callable, or another source; None uses the environment
    or the default chain. `policy` restricts the session's permissions; `duration` is in seconds.
    """

    _operation = "AssumeRole"

    def __init__(
        self,
        role_arn: str,
        session_name: str = "bedrock-stream",
        *,
        external_id: str | None = None,
        policy: str | Mapping[str, Any] | None = None,
        duration: int = 3600,
        source: Provider | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        super().__init__(role_arn, session_name, policy, duration, region, endpoint_url)
        if source is not None and not isinstance(source, Credentials | Source) and not callable(source):
            actual = type(source).__name__
            raise ConfigurationError("source", f"expected Credentials, a source or a callable, got {actual}")
        self._external_id = external_id
        if external_id is not None:
            expected = "2 to 1224 letters, digits or _+=,.@:/-"
            _check(external_id, _EXTERNAL_ID, "external_id", expected, is_secret=True)
        self._source = source

    async def fetch(self, context: SourceContext) -> Credentials:
        """Return new credentials. Raises `CredentialsUnavailable`, `ServiceError`, and the errors of `source`."""
        credentials = await self._base_credentials(context)
        form = {} if self._external_id is None else {"ExternalId": self._external_id}
        # The secret key is not sent; a custom endpoint's error could still quote it.
        secrets = (credentials.secret_access_key, credentials.session_token or "", self._external_id or "")
        exchange = self._exchange(context, form, secrets)
        return await exchange.fetch(context, credentials)

    async def _base_credentials(self, context: SourceContext) -> Credentials:
        source = self._source
        if source is None:
            return await context.default()
        if isinstance(source, Credentials):
            return source
        fetch = partial(source.fetch, context) if isinstance(source, Source) else source
        result = await call_provider(fetch, self.name)
        if not isinstance(result, Credentials):
            problem = f"expected the provider to return Credentials, got {type(result).__name__}"
            raise ConfigurationError("source", problem)
        return result


class AssumeRoleWithWebIdentity(_Role):
    """Temporary credentials of a role, requested with an identity provider's token, such as a file in an EKS pod.

    `token_file` is read for each fetch, since such tokens are short-lived. Instead, `token` is the token or an (async)
    callable that returns it.
    """

    _operation = "AssumeRoleWithWebIdentity"

    def __init__(
        self,
        role_arn: str,
        token_file: str | PathLike[str] | None = None,
        session_name: str = "bedrock-stream",
        *,
        token: TokenSource | None = None,
        policy: str | Mapping[str, Any] | None = None,
        duration: int = 3600,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        super().__init__(role_arn, session_name, policy, duration, region, endpoint_url)
        if (token_file is None) == (token is None):
            problem = "is required if token is not set" if token is None else "cannot be combined with token"
            raise ConfigurationError("token_file", problem, "pass one of token_file and token")
        if token_file is not None and (not isinstance(token_file, str | PathLike) or not str(token_file)):
            raise ConfigurationError("token_file", f"expected a path, got {token_file!r}")
        if token is not None and not callable(token) and (not isinstance(token, str) or not token.strip()):
            raise ConfigurationError("token", "expected a non-blank str or a callable")
        self._token_file = None if token_file is None else Path(token_file)
        self._token = token

    async def fetch(self, context: SourceContext) -> Credentials:
        """Return new credentials. Raises `CredentialsUnavailable`, `ServiceError`, and the callable's errors."""
        token = await self._read_token()
        exchange = self._exchange(context, {"WebIdentityToken": token}, [token])
        # The token authenticates the request: AWS defines this operation as unsigned.
        return await exchange.fetch(context, None)

    async def _read_token(self) -> str:
        token = self._token
        if self._token_file is not None:
            read = partial(read_token_file, self.name, self._token_file, _MAX_TOKEN_LENGTH)
            token = await run_in_thread(read)
        elif callable(token):
            token = await call_provider(token, self.name)
        if not isinstance(token, str):
            raise ConfigurationError("token", f"expected the callable to return a str, got {type(token).__name__}")
        token = token.strip()
        if not 0 < len(token) <= _MAX_TOKEN_LENGTH:
            raise CredentialsUnavailable(
                self.name, f"its token is blank, or longer than {_MAX_TOKEN_LENGTH} characters"
            )
        return token


def _check(value: object, pattern: re.Pattern[str], argument: str, expected: str, *, is_secret: bool = False) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ConfigurationError(argument, f"expected {expected}" + ("" if is_secret else f", got {value!r}"))
    return value


def _compact_policy(policy: object) -> str:
    """Return a policy as JSON without white space, since STS limits its length."""
    try:
        document = json.loads(policy) if isinstance(policy, str) else policy
        if isinstance(document, Mapping) and document:
            return json.dumps(dict(document), separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        pass
    raise ConfigurationError("policy", "expected a policy document, as a mapping or as JSON text of an object")
