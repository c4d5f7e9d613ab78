"""A cache for the credentials of one source, refreshed before they expire; concurrent requests share one fetch.

    time to expiry   > 15 min   15 to 10 min                    < 10 min                       0
    cached ones      used       used, refresh in background     used only if a refresh fails   fetched again

No clock ends credentials by itself, since it may be wrong: what a source has just returned is used even if it seems to
have expired, until the service refuses it. What a source returns past its end for want of better is used for longer
(`outlives_expiry`), and refreshed in the background. Time is the local one, with the offset of the host that the
credentials are for: what one host reports of its clock, or refuses, counts for that host alone.

Credentials without an expiry: those of a source (a file, a role) are cached until the service refuses them; a callable
is called for each request, since it may have rotated them. After a failed fetch, or one that returned credentials that
are due for refresh already, the next one waits a minute while the cached ones are still valid. Each event loop fetches
for itself, since tasks cannot be shared between loops. A fetch runs in an empty context, so that context variables of
one caller (a tenant, for example) cannot affect credentials that all callers share. A fetch that is older than a
caller's limit is left behind: the caller gets an error, and the next one starts another fetch.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import datetime, timedelta

from ..errors import BedrockStreamError, ClientClosed
from .credentials import Credentials
from .sources import forget_outcome, time_limit_reached

__all__ = ("CredentialCache", "Fetch")

# The same limits as in botocore, which calls the two refreshes advisory and mandatory.
_ADVISORY_REFRESH = timedelta(minutes=15)
_MANDATORY_REFRESH = timedelta(minutes=10)
_PAUSE = timedelta(minutes=1)
_ZERO = timedelta(0)
_MOST_REFUSALS = 64  # hosts that are named call by call must not pile up

_log = logging.getLogger("bedrock_stream.auth")

Fetch = Callable[[], Awaitable[Credentials]]


class _Running:
    """A fetch that runs: when it began, by its loop's clock, and how many callers wait for it."""

    __slots__ = ("began", "waiters")

    def __init__(self, began: float) -> None:
        self.began = began
        self.waiters = 0


class CredentialCache:
    """The cached credentials of one source.

    `name` is the source's name in logs and errors; `clock` returns the local time, timezone-aware. `cache_unexpiring`
    is whether credentials without an expiry are cached, `outlives_expiry` whether cached ones are used past their end.
    """

    __slots__ = (
        "_cache_unexpiring",
        "_cached",
        "_clock",
        "_fetch_tasks",
        "_fetched_at",
        "_name",
        "_outlives_expiry",
        "_paused_until",
        "_refused",
        "_running",
    )

    def __init__(
        self,
        name: str,
        clock: Callable[[], datetime],
        *,
        cache_unexpiring: bool,
        outlives_expiry: bool = False,
    ) -> None:
        self._name = name
        self._clock = clock
        self._cache_unexpiring = cache_unexpiring
        self._outlives_expiry = outlives_expiry
        self._cached: Credentials | None = None
        self._fetched_at: datetime | None = None
        self._paused_until: datetime | None = None
        self._refused: dict[str, Credentials] = {}  # by the host that refused them
        self._fetch_tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[Credentials]] = {}  # that callers may join
        self._running: dict[asyncio.Task[Credentials], _Running] = {}  # with those that were left behind

    async def get(
        self,
        fetch: Fetch,
        *,
        host: str = "",
        skew: timedelta = _ZERO,
        limit: float | None = None,
        leaves_fetch: bool = True,
    ) -> Credentials:
        """Return credentials for a host whose clock is `skew` ahead of the local one.

        An error of `fetch` is raised only if the cached ones cannot be used. `limit` is in seconds, since the fetch
        began. `leaves_fetch` is whether a fetch goes on when its last waiter is cancelled. Raises
        `CredentialsUnavailable` if the limit is reached, and `ClientClosed` if `close` is called while it waits.
        """
        cached = self._cached
        if cached is None or self._refused.get(host) == cached:
            fetched = await self._wait_for_fetch(fetch, limit, leaves_fetch=leaves_fetch)
            self._refused.pop(host, None)
            return fetched
        if cached.expires_at is None:  # valid until the service refuses them
            return cached
        now = self._clock()
        remaining = cached.expires_at - now - skew
        if remaining > _ADVISORY_REFRESH or (self._is_paused(now) and remaining > _ZERO):
            return cached
        if remaining > _MANDATORY_REFRESH:
            self._start_fetch(fetch, limit)  # in the background: this request does not wait for it
            return cached
        if remaining <= _ZERO and self._is_usable_past_end(fetch, now, remaining, limit):
            return cached
        try:
            return await self._wait_for_fetch(fetch, limit, leaves_fetch=leaves_fetch)
        except BedrockStreamError:
            if remaining > _ZERO:
                return cached
            raise

    def invalidate(self, refused: Credentials, host: str = "") -> None:
        """Fetch new credentials at the next request for this host if the cached ones are still the refused ones."""
        if self._cached == refused:
            while len(self._refused) >= _MOST_REFUSALS:
                self._refused.pop(next(iter(self._refused)), None)
            self._refused[host] = refused
            self._paused_until = None

    def close(self) -> None:
        """Cancel the running loop's fetches."""
        loop = asyncio.get_running_loop()
        for task in list(self._running):
            if task.get_loop() is loop:
                task.cancel()

    # ------------------------------------------------------------------------------------------------------- internals

    def _is_usable_past_end(self, fetch: Fetch, now: datetime, remaining: timedelta, limit: float | None) -> bool:
        """Return whether the cached credentials are used although their end has passed by the host's clock."""
        age = _ZERO if self._fetched_at is None else now - self._fetched_at
        # They seemed to have expired when they were fetched. Fetching them for each request would change nothing.
        is_just_fetched = remaining + age <= _ZERO <= age < _PAUSE
        if self._outlives_expiry and not is_just_fetched and not self._is_paused(now):
            self._start_fetch(fetch, limit)
        return is_just_fetched or self._outlives_expiry

    async def _wait_for_fetch(self, fetch: Fetch, limit: float | None, *, leaves_fetch: bool) -> Credentials:
        """Wait for the running fetch, or start one. Cancelling one waiter does not cancel the fetch for the others."""
        task = self._start_fetch(fetch, limit)
        running = self._running[task]
        running.waiters += 1
        seconds = None if limit is None else max(0.0, running.began + limit - asyncio.get_running_loop().time())
        try:
            await asyncio.wait([task], timeout=seconds)
        except asyncio.CancelledError:
            running.waiters -= 1
            if not leaves_fetch:
                self._leave_behind(task, running)
            raise
        running.waiters -= 1
        if not task.done():
            late = time_limit_reached(self._name, limit or 0)
            if self._leave_behind(task, running):
                self._note_failure(late)
            raise late
        if task.cancelled():
            raise ClientClosed("the client was closed while it was fetching credentials")
        error = task.exception()
        if isinstance(error, BedrockStreamError):
            raise copy.copy(error) from error  # one error per waiter: each adds facts of its own request to it
        return task.result()

    def _start_fetch(self, fetch: Fetch, limit: float | None) -> asyncio.Task[Credentials]:
        """Return the fetch that runs, or start one if none runs, or only one that is older than the limit."""
        loop = asyncio.get_running_loop()
        task = self._fetch_tasks.get(loop)
        if task is not None and limit is not None and loop.time() - self._running[task].began >= limit:
            self._leave_behind(task, self._running[task])
            task = None
        if task is None:
            running = _Running(loop.time())
            task = loop.create_task(self._fetch(fetch), name=f"credentials of {self._name}", context=Context())
            self._fetch_tasks[loop] = task
            self._running[task] = running
            task.add_done_callback(lambda done: self._on_fetch_done(loop, done))
        return task

    def _leave_behind(self, task: asyncio.Task[Credentials], running: _Running) -> bool:
        """Let nobody join this fetch any more, and cancel it once nobody waits. Return whether it could be joined."""
        loop = task.get_loop()
        is_current = self._fetch_tasks.get(loop) is task
        if is_current:
            del self._fetch_tasks[loop]
        if not running.waiters:
            task.cancel()
        return is_current

    async def _fetch(self, fetch: Fetch) -> Credentials:
        fetched = await fetch()
        expires_at, now = fetched.expires_at, self._clock()
        is_current = self._fetch_tasks.get(asyncio.get_running_loop()) is asyncio.current_task()
        if is_current and (self._cache_unexpiring or expires_at is not None):
            # IMDS may return the same credentials until five minutes before they expire: do not fetch per request.
            due_again = expires_at is not None and expires_at - now <= _ADVISORY_REFRESH
            self._paused_until = now + _PAUSE if due_again and self._cached is not None else None
            self._cached, self._fetched_at = fetched, now
        if expires_at is not None and expires_at <= now:
            _log.warning(
                "the credentials of %s expired at %s by the local clock, and are used until the service refuses them",
                self._name,
                f"{expires_at:%Y-%m-%d %H:%M:%S %Z}",
            )
        return fetched

    def _on_fetch_done(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Credentials]) -> None:
        self._running.pop(task, None)
        is_current = self._fetch_tasks.get(loop) is task
        if is_current:
            del self._fetch_tasks[loop]
        forget_outcome(task)
        if is_current and not task.cancelled():
            self._note_failure(task.exception())

    def _note_failure(self, error: BaseException | None) -> None:
        """Keep using the cached credentials for a while after a fetch that failed."""
        if error is not None and self._cached is not None:
            self._paused_until = self._clock() + _PAUSE
            _log.warning("refreshing the credentials of %s failed, the cached ones are used: %s", self._name, error)

    def _is_paused(self, now: datetime) -> bool:
        return self._paused_until is not None and now < self._paused_until
