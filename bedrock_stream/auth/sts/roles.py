"""The two ways to take on a role: `AssumeRole` with other keys, `AssumeRoleWithWebIdentity` with a token.

Arguments are checked when they are given, and nothing is shown of them but what names a role. The region's own host is
asked, never the global one.
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

from anyio import to_thread

from ...errors import ConfigurationError, CredentialsUnavailable, SignatureExpired
from ...request.endpoints import STS, resolve_endpoint
from ...types.checks import is_integer
from ...types.settings import DEFAULT_REGION, check_region
from ..credentials import Credentials
from ..sources import Source, SourceContext, call_provider
from .exchange import Exchange

__all__ = ("AssumeRole", "AssumeRoleWithWebIdentity", "KeySource", "TokenSource")

KeySource: TypeAlias = Credentials | Source | Callable[[], Credentials | Awaitable[Credentials]]
TokenSource: TypeAlias = str | Callable[[], str | Awaitable[str]]

_VERSION = "2011-06-15"
_LARGEST_TOKEN = 20_000

_ROLE_ARN = re.compile(r"arn:[a-z0-9-]+:iam::[0-9]{12}:role/[\x21-\x7e]{1,1984}")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)


class _Role:
    """What both ways have in common."""

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
        self.role_arn: str = _check(role_arn, _ROLE_ARN, "role_arn", "use arn:aws:iam::ACCOUNT:role/NAME")
        """The role that is taken on."""
        self.session_name: str = _check(
            session_name, _SESSION_NAME, "session_name", "use 2 to 64 letters, digits, _+=,.@-"
        )
        """The name under which the role's calls are logged."""
        if not is_integer(duration) or not 900 <= duration <= 43200:
            raise ConfigurationError("duration", f"{duration!r} is no duration", "give 900 to 43200 seconds")
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
            self._form["Policy"] = _compact(policy)
        self._region = region
        self._endpoint_url = endpoint_url

    @property
    def name(self) -> str:
        """The source in words."""
        return f"{self._operation} of {self.role_arn}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(role_arn={self.role_arn!r}, session_name={self.session_name!r})"

    def _exchange(self, context: SourceContext, form: Mapping[str, str], secrets: Iterable[str]) -> Exchange:
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
    """Temporary keys of a role, asked for with other keys.

    `source` gives those: `Credentials`, an (async) callable, another source; None takes the environment's. `policy`
    narrows what the keys may do; `duration` is in seconds.
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
        source: KeySource | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        super().__init__(role_arn, session_name, policy, duration, region, endpoint_url)
        if source is not None and not isinstance(source, Credentials | Source) and not callable(source):
            kind = type(source).__name__
            raise ConfigurationError("source", f"a {kind} gives no keys", "give Credentials, a source, or a callable")
        self._external_id = external_id
        if external_id is not None:
            _check(external_id, _EXTERNAL_ID, "external_id", "use 2 to 1224 letters, digits, _+=,.@:/-", shown=False)
        self._source = source

    async def fetch(self, context: SourceContext) -> Credentials:
        """New keys. Raises `CredentialsUnavailable`, `ServiceError`, and what the source of the other keys raises."""
        keys = await self._base(context)
        form = {} if self._external_id is None else {"ExternalId": self._external_id}
        secrets = (keys.secret_access_key, keys.session_token or "", self._external_id or "")
        exchange = self._exchange(context, form, secrets)
        answer = await exchange.send(context, keys)
        try:
            return exchange.read(answer)
        except SignatureExpired as error:
            said = error.message.removeprefix(exchange.prefix)
            if not context.learn(exchange.host, answer.headers.get("Date"), said):
                raise
        return exchange.read(await exchange.send(context, keys))

    async def _base(self, context: SourceContext) -> Credentials:
        source = self._source
        if source is None:
            return await context.default()
        if isinstance(source, Credentials):
            return source
        ask = partial(source.fetch, context) if isinstance(source, Source) else source
        found = await call_provider(ask, self.name)
        if not isinstance(found, Credentials):
            raise ConfigurationError("source", f"it gave a {type(found).__name__}", "return Credentials")
        return found


class AssumeRoleWithWebIdentity(_Role):
    """Temporary keys of a role, asked for with a token of an identity provider, such as pods of EKS have in a file.

    `token_file` is read anew each time, for tokens are short-lived. Or `token` is it, or an (async) callable giving it.
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
            which = "neither of them is" if token is None else "both of them are"
            raise ConfigurationError("token_file", f"of token_file and token, {which} given", "give one of them")
        if token_file is not None and (not isinstance(token_file, str | PathLike) or not str(token_file)):
            raise ConfigurationError("token_file", f"{token_file!r} is no path", "give a path")
        if token is not None and not callable(token) and (not isinstance(token, str) or not token.strip()):
            raise ConfigurationError("token", "it is neither text nor a callable", "give a token, or what gives one")
        self._token_file = None if token_file is None else Path(token_file)
        self._token = token

    async def fetch(self, context: SourceContext) -> Credentials:
        """New keys. Raises `CredentialsUnavailable`, `ServiceError`, and what the callable raises."""
        token = await self._read_token()
        exchange = self._exchange(context, {"WebIdentityToken": token}, [token])
        return exchange.read(await exchange.send(context, None))

    async def _read_token(self) -> str:
        token = self._token
        if self._token_file is not None:
            token = await to_thread.run_sync(_read_text, self.name, self._token_file, abandon_on_cancel=True)
        elif callable(token):
            token = await call_provider(token, self.name)
        if not isinstance(token, str):
            raise ConfigurationError("token", f"the callable gave a {type(token).__name__}", "return a str")
        token = token.strip()
        if not 0 < len(token) <= _LARGEST_TOKEN:
            raise CredentialsUnavailable(self.name, f"its token is blank, or longer than {_LARGEST_TOKEN}")
        return token


def _check(value: object, pattern: re.Pattern[str], argument: str, remedy: str, *, shown: bool = True) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ConfigurationError(argument, f"{value!r} cannot be one" if shown else "it cannot be one", remedy)
    return value


def _compact(policy: object) -> str:
    """A policy as the shortest JSON: STS limits its length."""
    try:
        document = json.loads(policy) if isinstance(policy, str) else policy
        if isinstance(document, Mapping) and document:
            return json.dumps(dict(document), separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        pass
    raise ConfigurationError("policy", "it is not a JSON object", "give a policy document, as a mapping or as JSON")


def _read_text(source: str, path: Path) -> str:
    """The beginning of a file, a little longer than may be. Raises `CredentialsUnavailable`."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_LARGEST_TOKEN + 2)
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = f"{path} is not text"
    raise CredentialsUnavailable(source, reason)
