"""What a source of temporary keys is, and what it may use: HTTP handed in, the environment, a region, a clock.

A source is asked only through `auth.refresh`, which keeps its keys until they are due, so it asks anew each time and
keeps nothing. It raises `CredentialsUnavailable`, or the `ServiceError` that the service named.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import msgspec

from ..errors import CredentialsUnavailable
from .credentials import Credentials

__all__ = ("Http", "HttpAnswer", "Outside", "Source", "read_document")


class HttpAnswer(msgspec.Struct, frozen=True):
    """A whole answer of a small service."""

    status: int
    headers: Mapping[str, str]
    """By name, in any case."""
    body: bytes

    def __repr__(self) -> str:
        return f"HttpAnswer({self.status}, {len(self.body)} bytes)"  # the body may hold keys


class Http(Protocol):
    """One small request and its whole answer; takes none of the client's connection slots."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = ...,
        body: bytes = ...,
        seconds: float,
        direct: bool = ...,
    ) -> Awaitable[HttpAnswer]:
        """`seconds` bounds all of it. `direct` never takes a proxy. Raises `TransportError`."""


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What a source may use of the world."""

    http: Http
    environ: Mapping[str, str]
    settings: Mapping[str, str]
    """The profile's settings in the shared config file."""
    region: str
    """The region of the call that asks first."""
    now: Callable[[str], datetime]
    """The time, aware, as the service at this host tells it."""
    learn: Callable[[str, str | None, str], bool]
    """`learn(host, date_header, message)` takes a refusal that speaks of the clock; True if signing anew helps."""
    default: Callable[[], Awaitable[Credentials]]
    """Keys of the environment and what follows it, for a source that rests on another and names none."""


@runtime_checkable
class Source(Protocol):
    """Something that gives temporary keys when asked."""

    @property
    def name(self) -> str:
        """The source in words, without anything secret."""

    async def fetch(self, outside: Outside) -> Credentials:
        """New keys. Raises `CredentialsUnavailable`, `ServiceError`."""


def read_document(source: str, body: bytes) -> Credentials:
    """The JSON document in which container and instance services give keys. Raises `CredentialsUnavailable`."""
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (ValueError, RecursionError):
        raise CredentialsUnavailable(source, "its answer is not the JSON document that holds keys") from None
    if document.Code not in ("", "Success"):
        raise CredentialsUnavailable(source, f"it answered {document.Code}: {document.Message[:200]}")
    if not document.AccessKeyId or not document.SecretAccessKey:
        raise CredentialsUnavailable(source, "its answer holds no keys")
    return Credentials(
        document.AccessKeyId, document.SecretAccessKey, document.Token or None, _aware(document.Expiration)
    )


class _Document(msgspec.Struct):
    Code: str = ""
    Message: str = ""
    AccessKeyId: str = ""
    SecretAccessKey: str = ""
    Token: str = ""
    Expiration: datetime | None = None


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
