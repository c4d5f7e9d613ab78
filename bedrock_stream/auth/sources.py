"""What a source of temporary keys is, and what it may use: HTTP handed in, the environment, a region, a clock.

A source is asked only through `auth.refresh`, which keeps its keys until they are due, so it asks anew each time and
keeps nothing. It raises `CredentialsUnavailable`, or the `ServiceError` that the service named; a variable or a setting
that cannot be used is a `ConfigurationError`. What a service says of itself is never trusted to hold no secret.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias, runtime_checkable
from urllib.parse import quote, quote_plus

import msgspec

from ..errors import BedrockStreamError, ConfigurationError, CredentialsUnavailable
from ..types.settings import Masked
from .credentials import Credentials

__all__ = (
    "LARGEST_ANSWER",
    "ApiKeySource",
    "Http",
    "HttpAnswer",
    "KeySource",
    "Provider",
    "Source",
    "SourceContext",
    "call_provider",
    "make_keys",
    "prepare_threads",
    "read_document",
    "scrub",
)


LARGEST_ANSWER = 64 * 1024


"""Bytes; what gives keys says no more than this."""


_LONGEST_MESSAGE = 500


class HttpAnswer(Masked, frozen=True):
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


class SourceContext(Masked, frozen=True, kw_only=True):
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

    async def fetch(self, context: SourceContext) -> Credentials:
        """New keys. Raises `CredentialsUnavailable`, `ServiceError`."""


def read_document(source: str, body: bytes, secrets: Iterable[str] = ()) -> Credentials:
    """The JSON document in which container and instance services give keys.

    `secrets` are what was sent, and may come back in a message. Raises `CredentialsUnavailable`.
    """
    document = None
    if len(body) <= LARGEST_ANSWER:
        with contextlib.suppress(ValueError, RecursionError):  # not chained: the decoder's error could show the body
            document = msgspec.json.decode(body, type=_Document)
    if document is None:
        raise CredentialsUnavailable(source, "its answer is not the JSON document that holds keys")
    if document.Code not in (None, "", "Success"):
        hidden = (*secrets, document.SecretAccessKey or "", document.Token or "")
        raise CredentialsUnavailable(source, scrub(f"it answered {document.Code}: {document.Message}", hidden))
    return make_keys(source, document.AccessKeyId, document.SecretAccessKey, document.Token, document.Expiration)


def make_keys(
    source: str, access_key_id: str | None, secret_access_key: str | None, token: str | None, ends: datetime | None
) -> Credentials:
    """Keys as a source gave them; a naive moment is UTC. Raises `CredentialsUnavailable` where they are none."""
    if not access_key_id or not secret_access_key:
        raise CredentialsUnavailable(source, "its answer holds no keys")
    if ends is not None and ends.tzinfo is None:
        ends = ends.replace(tzinfo=UTC)
    try:
        return Credentials(access_key_id, secret_access_key, token or None, ends)
    except ConfigurationError as error:
        reason = f"its answer holds no keys: {error.argument}: {error.problem}"
    raise CredentialsUnavailable(source, reason)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The beginning of a text without these secrets, as they stand and as they stand in a form or an address."""
    for secret in secrets:
        for written in (secret, quote_plus(secret), quote(secret, safe="")):
            if written:
                text = text.replace(written, "...")
    return text[:_LONGEST_MESSAGE]


class _Document(msgspec.Struct):
    Code: str | None = None
    Message: str | None = None
    AccessKeyId: str | None = None
    SecretAccessKey: str | None = None
    Token: str | None = None
    Expiration: datetime | None = None


Provider: TypeAlias = Credentials | Source | Callable[[], "Credentials | Awaitable[Credentials]"]


"""What gives IAM keys: the keys, a source such as `AssumeRole`, or an (async) callable that returns them."""


ApiKeySource: TypeAlias = str | Callable[[], "str | Awaitable[str]"]


"""An API key, or a callable that is asked for it before each request."""


class KeySource(msgspec.Struct, frozen=True):
    """Where an identity was found."""

    name: str
    """The place in words, never its content."""
    scheme: str
    """`bearer` or `sigv4`."""
    source: Any
    """An identity, a source, or a callable that gives the key or the credentials."""
    key: Hashable = None
    """Tells one source of the client from another, so that each one's keys are kept."""
    region: str | None = None
    """The region that was put beside the keys."""

    def __repr__(self) -> str:
        return f"KeySource({self.scheme}, {self.name})"


def prepare_threads() -> None:
    """Import now what anyio would import in its first call into a thread, which would stop the loop for that long."""
    from importlib import import_module

    from anyio import to_thread  # noqa: F401

    with suppress(ImportError):  # its own affair; without it the first call is slower, and nothing else
        import_module("anyio._backends._asyncio")


async def call_provider(source: Callable[[], Any], name: str) -> Any:
    """What a callable gives. A plain function runs in a thread, which a cancelled call leaves to itself.

    Raises `CredentialsUnavailable` for whatever it raises; `name` says in words what was called.
    """
    from anyio import to_thread

    asynchronous = inspect.iscoroutinefunction(source) or inspect.iscoroutinefunction(type(source).__call__)
    try:
        found = source() if asynchronous else await to_thread.run_sync(source, abandon_on_cancel=True)
        return await found if inspect.isawaitable(found) else found
    except BedrockStreamError:
        raise
    except Exception as error:
        # The text of a stranger's exception may hold anything, so only its type is told.
        raise CredentialsUnavailable(name, f"it raised {type(error).__name__}") from error
