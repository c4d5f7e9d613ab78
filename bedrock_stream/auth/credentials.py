"""Keys as values: IAM keys and Bedrock API keys, checked where they are made. No key ever shows in a repr."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from ..errors import ConfigurationError
from ..types.settings import Masked

__all__ = ("ApiKey", "Credentials", "Identity", "check_api_key", "check_pair")


class Credentials(Masked, frozen=True):
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
        ends = self.expires_at
        if ends is not None and (not isinstance(ends, datetime) or ends.utcoffset() is None):
            problem = f"a {type(ends).__name__} {'without a zone ' if isinstance(ends, datetime) else ''}is no moment"
            raise ConfigurationError("expires_at", problem, "give an aware datetime, such as datetime.now(UTC) + ...")

    def __repr__(self) -> str:
        return f"Credentials(access_key_id='{self.access_key_id[:4]}...', secret_access_key='...')"

    __str__ = __repr__


class ApiKey(Masked, frozen=True):
    """A Bedrock API key, sent as a bearer token."""

    token: str

    def __repr__(self) -> str:
        return "ApiKey('...')"

    __str__ = __repr__


Identity: TypeAlias = Credentials | ApiKey


def check_api_key(key: Any) -> str:
    """The key as it goes into a header."""
    if not isinstance(key, str) or not key.strip():
        raise ConfigurationError("api_key", "it is blank", "give a Bedrock API key, or leave it out")
    stripped: str = key.strip()
    if not stripped.isascii() or not stripped.isprintable():
        raise ConfigurationError("api_key", "it holds characters that no key has", "copy it again")
    return stripped


def check_pair(
    access_key_id: str | None, secret_access_key: str | None, session_token: str | None
) -> Credentials | None:
    """The keys that these three make; None where none is given. Raises `ConfigurationError` for half a pair."""
    if bool(access_key_id) != bool(secret_access_key):
        missing = "secret_access_key" if access_key_id else "access_key_id"
        raise ConfigurationError(missing, "half of a key pair is missing", "give both keys, or neither")
    if not access_key_id or not secret_access_key:
        if session_token:
            problem = "it belongs to a key pair, and none is given"
            raise ConfigurationError("session_token", problem, "give both keys too")
        return None
    return Credentials(access_key_id, secret_access_key, session_token)
