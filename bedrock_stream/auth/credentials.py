"""Credentials as values: IAM credentials and Bedrock API keys, checked when created. Their repr shows no secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from ..errors import ConfigurationError
from ..types.settings import Masked

__all__ = ("ApiKey", "Authorization", "Credentials", "Identity", "check_api_key", "check_pair", "without_frames")

_E = TypeVar("_E", bound=BaseException)

_BAD_CHARACTERS = "contains characters that cannot occur in a key"


class Credentials(Masked, frozen=True):
    """IAM credentials; temporary ones have a session token."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expires_at: datetime | None = None
    """The time at which they expire, timezone-aware; None if unknown."""

    def __post_init__(self) -> None:
        for name in ("access_key_id", "secret_access_key"):
            _check_filled(name, getattr(self, name), "pass both keys of the pair, or neither")
        for name in ("access_key_id", "secret_access_key", "session_token"):
            value = getattr(self, name)
            # They become header values, so a line break would let a key inject a header.
            if value is not None and (not isinstance(value, str) or not value.isascii() or not value.isprintable()):
                raise ConfigurationError(name, _BAD_CHARACTERS, "copy it again")
        expires_at = self.expires_at
        if expires_at is None:
            return
        if not isinstance(expires_at, datetime) or expires_at.utcoffset() is None:
            actual = "a naive datetime" if isinstance(expires_at, datetime) else type(expires_at).__name__
            raise ConfigurationError("expires_at", f"expected a timezone-aware datetime, got {actual}")

    def __repr__(self) -> str:
        # The first four characters are the key's type (AKIA: long-term, ASIA: temporary), not a secret.
        return f"Credentials(access_key_id='{self.access_key_id[:4]}...', secret_access_key='...')"

    __str__ = __repr__


class ApiKey(Masked, frozen=True):
    """A Bedrock API key, sent as a bearer token."""

    token: str

    def __repr__(self) -> str:
        return "ApiKey('...')"

    __str__ = __repr__


class Authorization(Masked, frozen=True):
    """The headers that authorize one request."""

    headers: dict[str, str]


Identity: TypeAlias = Credentials | ApiKey
"""The two ways to authorize a request: a SigV4 signature, or a bearer token."""


def check_api_key(key: Any) -> str:
    """Return the key as it is sent in the header, without surrounding white space.

    Raises `ConfigurationError`, which never quotes the key.
    """
    stripped = _check_filled("api_key", key, "pass a Bedrock API key, or leave it out").strip()
    if not stripped.isascii() or not stripped.isprintable():
        raise ConfigurationError("api_key", _BAD_CHARACTERS, "copy it again")
    return stripped


def check_pair(
    access_key_id: str | None, secret_access_key: str | None, session_token: str | None
) -> Credentials | None:
    """Build credentials from these three; None if none of them is set. Raises `ConfigurationError` for half a pair."""
    if bool(access_key_id) != bool(secret_access_key):
        missing = "secret_access_key" if access_key_id else "access_key_id"
        raise ConfigurationError(missing, "half of a key pair is missing", "pass both keys, or neither")
    if not access_key_id or not secret_access_key:
        # A session token is only valid together with the key pair it was issued with.
        if session_token:
            problem = "is set without access_key_id and secret_access_key"
            raise ConfigurationError("session_token", problem, "pass both keys too")
        return None
    return Credentials(access_key_id, secret_access_key, session_token)


def _check_filled(argument: str, value: Any, remedy: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(argument, f"expected a str, got {type(value).__name__}", remedy)
    if not value.strip():
        raise ConfigurationError(argument, "is blank", remedy)
    return value


def without_frames(error: _E) -> _E:
    """Return the exception with its whole chain freed of tracebacks, whose frames hold secrets; the words stay.

    Sentry, loguru, structlog and the like record the variables of every frame.
    """
    pending: list[BaseException] = [error]
    seen = set()
    while pending:
        one = pending.pop()
        seen.add(id(one))
        one.__traceback__ = None
        pending += [linked for linked in (one.__cause__, one.__context__) if linked and id(linked) not in seen]
    return error
