"""A cache for the credentials of one source, refreshed before they expire; concurrent requests share one fetch.

    time to expiry   > 15 min   15 to 10 min                    < 10 min                       0
    cached ones      used       used, refresh in background     used only if a refresh fails   never used

Credentials without an expiry: those of a source (a file, a role) are cached until the service refuses them; a callable
is called for each request, since it may have rotated them. After a failed fetch, or one that returned credentials that
are due for refresh already, the next one waits a minute while the cached ones are still valid. Each event loop fetches
for itself, since tasks cannot be shared between loops. A fetch runs in an empty context, so that context variables of
one caller (a tenant, for example) cannot affect credentials that all callers share.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import datetime, timedelta

from ..errors import BedrockStreamError, ClientClosed, CredentialsUnavailable
from .credentials import Credentials

__all__ = ("CredentialCache", "Fetch")

# The same limits as in botocore, which calls the two refreshes advisory and mandatory.
_ADVISORY_REFRESH = timedelta(minutes=15)
_MANDATORY_REFRESH = timedelta(minutes=10)
_PAUSE = timedelta(minutes=1)

_log = logging.getLogger("bedrock_stream.auth")

Fetch = Callable[[], Awaitable[Credentials]]


class CredentialCache:
    """The cached credentials of one source.

    `name` is the source's name in logs and errors; `clock` returns the time, timezone-aware. `cache_unexpiring` is
    whether credentials without an expiry are cached.
    """

    __slots__ = ("_cache_unexpiring", "_cached", "_clock", "_fetch_tasks", "_name", "_paused_until")

    def __init__(self, name: str, clock: Callable[[], datetime], *, cache_unexpiring: bool) -> None:
        self._name = name
        self._clock = clock
        self._cache_unexpiring = cache_unexpiring
        self._cached: Credentials | None = None
        self._paused_until: datetime | None = None
        self._fetch_tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[Credentials]] = {}

    async def get(self, fetch: Fetch) -> Credentials:
        """Return valid credentials. An error of `fetch` is raised only if the cached ones are not valid.

        Raises `ClientClosed` if `close` is called while it waits.
        """
        cached = self._cached
        if cached is None:
            return await self._wait_for_fetch(fetch)
        if cached.expires_at is None:  # valid until the service refuses them
            return cached
        now = self._clock()
        remaining = cached.expires_at - now
        if remaining > _ADVISORY_REFRESH or (self._is_paused(now) and remaining > timedelta(0)):
            return cached
        if remaining > _MANDATORY_REFRESH:
            self._start_fetch(fetch)  # in the background: this request does not wait for it
            return cached
        try:
            return await self._wait_for_fetch(fetch)
        except BedrockStreamError:
            if remaining > timedelta(0):
                return cached
            raise

    def invalidate(self, refused: Credentials) -> None:
        """Drop the cached credentials if they are the refused ones, so that the next request fetches new ones."""
        if self._cached == refused:
            self._cached = None
            self._paused_until = None

    def close(self) -> None:
        """Cancel the running loop's fetch."""
        task = self._fetch_tasks.get(asyncio.get_running_loop())
        if task is not None:
            task.cancel()

    # ------------------------------------------------------------------------------------------------------- internals

    async def _wait_for_fetch(self, fetch: Fetch) -> Credentials:
        """Wait for the running fetch, or start one. Cancelling one waiter does not cancel the fetch for the others."""
        fetching = self._start_fetch(fetch)
        try:
            return await asyncio.shield(fetching)
        except asyncio.CancelledError:
            waiter = asyncio.current_task()
            # Distinguish `close`, which cancels the fetch, from a caller that cancels this waiter.
            if fetching.cancelled() and waiter is not None and not waiter.cancelling():
                raise ClientClosed("the client was closed while it was fetching credentials") from None
            raise
        except BedrockStreamError as error:
            raise copy.copy(error) from error  # one error per waiter: each adds facts of its own request to it

    def _start_fetch(self, fetch: Fetch) -> asyncio.Task[Credentials]:
        loop = asyncio.get_running_loop()
        task = self._fetch_tasks.get(loop)
        if task is None:
            task = loop.create_task(self._fetch(fetch), name=f"credentials of {self._name}", context=Context())
            self._fetch_tasks[loop] = task
            task.add_done_callback(lambda done: self._on_fetch_done(loop, done))
        return task

    async def _fetch(self, fetch: Fetch) -> Credentials:
        fetched = await fetch()
        expires_at, now = fetched.expires_at, self._clock()
        if expires_at is not None and expires_at <= now:
            raise CredentialsUnavailable(self._name, f"its credentials expired at {expires_at:%Y-%m-%d %H:%M:%S %Z}")
        if self._cache_unexpiring or expires_at is not None:
            # IMDS may return the same credentials until five minutes before they expire: do not fetch per request.
            due_again = expires_at is not None and expires_at - now <= _ADVISORY_REFRESH
            self._paused_until = now + _PAUSE if due_again and self._cached is not None else None
            self._cached = fetched
        return fetched

    def _on_fetch_done(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Credentials]) -> None:
        self._fetch_tasks.pop(loop, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self._cached is not None:
            self._paused_until = self._clock() + _PAUSE
            _log.warning("refreshing the credentials of %s failed, the cached ones are used: %s", self._name, error)

    def _is_paused(self, now: datetime) -> bool:
        return self._paused_until is not None and now < self._paused_until
