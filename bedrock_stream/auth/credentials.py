"""Who signs a request: explicit keys, a provider of the caller's, or the environment.

Order, first hit wins: the call's `api_key`, the call's IAM keys, the client's `api_key`, the client's `credentials`,
`AWS_BEARER_TOKEN_BEDROCK`, `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY`. So an explicit IAM pair beats an API key
in the environment, and a client made with keys of its own never falls through to the environment. A blank explicit key
is an error, a blank variable counts as absent. No key ever shows in a repr.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from ..errors import ConfigurationError, MissingCredentials

__all__ = (
    "ApiKey",
    "ApiKeySource",
    "Credentials",
    "Identity",
    "Place",
    "Provider",
    "ask",
    "call_provider",
    "check_api_key",
    "find_place",
)


class Credentials(msgspec.Struct, frozen=True):
    """IAM keys; with a session token where they are temporary."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expires_at: datetime | None = None
    """When they end, aware; None where that is not known."""

    def __post_init__(self) -> None:
        for name in ("access_key_id", "secret_access_key"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ConfigurationError(name, "it is blank", "give both keys of the pair, or neither")
        for name in ("access_key_id", "secret_access_key", "session_token"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value.isascii() or not value.isprintable()):
                raise ConfigurationError(name, "it holds characters that no key has", "copy it again")

    def __repr__(self) -> str:
        return f"Credentials(access_key_id='{self.access_key_id[:4]}...', secret_access_key='...')"

    __str__ = __repr__


class ApiKey(msgspec.Struct, frozen=True):
    """A Bedrock API key, sent as a bearer token."""

    token: str

    def __repr__(self) -> str:
        return "ApiKey('...')"

    __str__ = __repr__


Identity: TypeAlias = Credentials | ApiKey
Provider: TypeAlias = Credentials | Callable[[], "Credentials | Awaitable[Credentials]"]
ApiKeySource: TypeAlias = str | Callable[[], "str | Awaitable[str]"]


class Place(msgspec.Struct, frozen=True):
    """Where an identity was found, before anything is asked for it."""

    name: str
    """The place in words, never its content."""
    scheme: str
    """`bearer` or `sigv4`."""
    source: Any
    """An identity, or a callable that gives the key or the credentials."""

    def __repr__(self) -> str:
        return f"Place({self.scheme}, {self.name})"


def find_place(
    call: Mapping[str, str | None],
    api_key: ApiKeySource | None,
    credentials: Provider | None,
    environ: Mapping[str, str],
) -> Place:
    """The first place that has an identity.

    `call` holds the call's own `api_key`, `access_key_id`, `secret_access_key`, `session_token`; `api_key` and
    `credentials` are the client's. Raises `MissingCredentials`.
    """
    if call.get("api_key"):
        return Place("the call's api_key", "bearer", ApiKey(check_api_key(call["api_key"])))
    if call.get("access_key_id") or call.get("secret_access_key"):
        pair = _pair(call.get("access_key_id"), call.get("secret_access_key"), call.get("session_token"))
        return Place("the call's access_key_id", "sigv4", pair)
    if api_key is not None:
        return Place("the client's api_key", "bearer", api_key if callable(api_key) else ApiKey(check_api_key(api_key)))
    if credentials is not None:
        if not isinstance(credentials, Credentials) and not callable(credentials):
            kind = type(credentials).__name__
            raise ConfigurationError("credentials", f"a {kind} is none", "give Credentials, or a callable")
        return Place("the client's credentials", "sigv4", credentials)
    return _in_environment(environ)


async def ask(place: Place) -> Identity:
    """The identity of a place, for one attempt. Callables are asked each time, plain ones in a thread."""
    source = place.source
    if isinstance(source, Credentials | ApiKey):
        return source
    found = await call_provider(source)
    if place.scheme == "bearer":
        return ApiKey(check_api_key(found))
    if not isinstance(found, Credentials):
        raise ConfigurationError("credentials", f"the provider gave a {type(found).__name__}", "return Credentials")
    return found


def check_api_key(key: Any) -> str:
    """The key as it goes into a header."""
    if not isinstance(key, str) or not key.strip():
        raise ConfigurationError("api_key", "it is blank", "give a Bedrock API key, or leave it out")
    stripped: str = key.strip()
    if not stripped.isascii() or not stripped.isprintable():
        raise ConfigurationError("api_key", "it holds characters that no key has", "copy it again")
    return stripped


def _pair(access_key_id: str | None, secret_access_key: str | None, session_token: str | None) -> Credentials:
    if not access_key_id or not secret_access_key:
        missing = "secret_access_key" if access_key_id else "access_key_id"
        raise ConfigurationError(missing, "half of a key pair is missing", "give both keys, or neither")
    return Credentials(access_key_id, secret_access_key, session_token)


def _in_environment(environ: Mapping[str, str]) -> Place:
    token = environ.get("AWS_BEARER_TOKEN_BEDROCK", "").strip()
    if token:
        return Place("AWS_BEARER_TOKEN_BEDROCK", "bearer", ApiKey(check_api_key(token)))
    key, secret = environ.get("AWS_ACCESS_KEY_ID", "").strip(), environ.get("AWS_SECRET_ACCESS_KEY", "").strip()
    if bool(key) != bool(secret):
        missing = "AWS_SECRET_ACCESS_KEY" if key else "AWS_ACCESS_KEY_ID"
        raise ConfigurationError(missing, "half of a key pair is missing", "set both variables, or neither")
    if key:
        pair = Credentials(key, secret, environ.get("AWS_SESSION_TOKEN", "").strip() or None)
        return Place("AWS_ACCESS_KEY_ID", "sigv4", pair)
    raise MissingCredentials(
        "credentials",
        "none were found in the call's api_key and access_key_id, the client's api_key and credentials, and the "
        "variables AWS_BEARER_TOKEN_BEDROCK and AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY",
        "give one of them",
    )


async def call_provider(source: Callable[[], Any]) -> Any:
    """Call a provider without blocking the loop: a plain function runs in a thread, which a cancelled call leaves."""
    from anyio import to_thread

    asynchronous = inspect.iscoroutinefunction(source) or inspect.iscoroutinefunction(type(source).__call__)
    found = source() if asynchronous else await to_thread.run_sync(source, abandon_on_cancel=True)
    return await found if inspect.isawaitable(found) else found
