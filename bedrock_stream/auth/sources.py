"""The interface of credential sources: the HTTP client, settings and clock they may use, and how they are called.

A source keeps no state: it fetches each time it is called, and `auth.refresh` caches what it returns. It raises
`CredentialsUnavailable`, or the `ServiceError` of the service it called; a variable or setting that cannot be used is a
`ConfigurationError`. Error texts from a service may contain secrets and are redacted.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec

from ..errors import BedrockStreamError, CredentialsUnavailable
from ..types.settings import Masked
from .credentials import Credentials

__all__ = (
    "ApiKeySource",
    "Http",
    "HttpAnswer",
    "KeySource",
    "Provider",
    "Source",
    "SourceContext",
    "answer_within",
    "call_provider",
    "forget_outcome",
    "time_limit_reached",
)

_T = TypeVar("_T")


class HttpAnswer(Masked, frozen=True):
    """A complete response of a small service, such as STS or a metadata endpoint."""

    status: int
    headers: Mapping[str, str]
    """Case-insensitive."""
    body: bytes

    def __repr__(self) -> str:
        return f"HttpAnswer({self.status}, {len(self.body)} bytes)"  # the body may contain credentials


class Http(Protocol):
    """A function that sends one small request and reads the complete response, outside the connection limit."""

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
        """Send the request. `seconds` limits the whole exchange; `direct` bypasses proxies. Raises `TransportError`."""


class SourceContext(Masked, frozen=True, kw_only=True):
    """The HTTP client, settings and clock that a source may use."""

    http: Http
    environ: Mapping[str, str]
    settings: Mapping[str, str]
    """The profile's settings in the shared config file."""
    region: str
    """The region of the call that started the fetch."""
    now: Callable[[str], datetime]
    """`now(host)` returns the time, timezone-aware, corrected by what is known of this host's clock."""
    learn: Callable[[str, str | None, str], bool]
    """`learn(host, date_header, message)` corrects the clock after a refused date; True if signing again may help."""
    default: Callable[[], Awaitable[Credentials]]
    """Fetches credentials from the environment or the default chain, for a source that needs others and names none."""


@runtime_checkable
class Source(Protocol):
    """A source of temporary credentials."""

    @property
    def name(self) -> str:
        """The source's name in error texts and logs, without anything secret."""

    async def fetch(self, context: SourceContext) -> Credentials:
        """Return new credentials. Raises `CredentialsUnavailable`, `ServiceError`."""


Provider: TypeAlias = Credentials | Source | Callable[[], "Credentials | Awaitable[Credentials]"]
"""Credentials, a source such as `AssumeRole`, or an (async) callable that returns credentials."""

ApiKeySource: TypeAlias = str | Callable[[], "str | Awaitable[str]"]
"""An API key, or an (async) callable that returns it and is called before each request."""


class KeySource(msgspec.Struct, frozen=True):
    """A place where credentials or an API key are configured, and the source found there."""

    name: str
    """The place's name in logs and errors, such as `AWS_ACCESS_KEY_ID`; never its value."""
    scheme: str
    """`bearer` or `sigv4`."""
    source: Any
    """An identity, a source, or a callable that returns the API key or the credentials."""
    key: Hashable = None
    """The key under which the client caches this source's credentials."""
    region: str | None = None
    """The region that is configured together with the credentials."""

    def __repr__(self) -> str:
        return f"KeySource({self.scheme}, {self.name})"


async def call_provider(source: Callable[[], Any], name: str) -> Any:
    """Call a source and return its result. A plain function runs in a thread, which a cancelled call abandons.

    Raises `CredentialsUnavailable` for any foreign exception; `name` says in the error what was called.
    """
    from .threads import run_in_thread  # static keys need no threads

    asynchronous = inspect.iscoroutinefunction(source) or inspect.iscoroutinefunction(type(source).__call__)
    try:
        result = source() if asynchronous else await run_in_thread(source)
        return await result if inspect.isawaitable(result) else result
    except BedrockStreamError:
        raise
    except Exception as error:
        # The text of a foreign exception may contain secrets, so only its type is reported.
        raise CredentialsUnavailable(name, f"it raised {type(error).__name__}") from error


async def answer_within(limit: float | None, name: str, question: Coroutine[Any, Any, _T]) -> _T:
    """Await a question to a source for so many seconds, None for any time; then leave it, even if it goes on.

    Raises `CredentialsUnavailable`, which names the source.
    """
    if limit is None:
        return await question
    task = asyncio.get_running_loop().create_task(question)
    try:
        await asyncio.wait([task], timeout=limit)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(forget_outcome)
    if not task.done():
        raise time_limit_reached(name, limit)
    return task.result()


def time_limit_reached(name: str, limit: float) -> CredentialsUnavailable:
    """Return the error for a source that did not answer within `Timeouts.credentials`."""
    error = CredentialsUnavailable(name, f"no credentials within {limit:g} s (Timeouts.credentials)")
    error.retryable = True
    return error


def forget_outcome(task: asyncio.Task[Any]) -> None:
    """Take the error of a task that was left, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()
