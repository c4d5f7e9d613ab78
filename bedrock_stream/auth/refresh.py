"""The keys of one source, kept until they are due, and fetched by one request for all that wait.

    end of the keys   -15 min                 -10 min                    0
    kept and used     fetched beside, kept    waited for, kept if that   never used
                      ones used meanwhile     fails

What a source gives without an end: a lasting source (a file, a role) is not asked again until the service refuses its
keys; a callable is asked for each request, for it may have rotated them. A fetch that fails, or gives keys that are due
already, is not repeated within a minute while the kept ones hold. Each event loop fetches for itself: tasks cannot be
shared between loops. A fetch runs in a context of its own, so what one caller's context holds, a tenant's name perhaps,
never decides about keys that all callers get.
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

_ADVISORY = timedelta(minutes=15)
_MANDATORY = timedelta(minutes=10)
_PAUSE = timedelta(minutes=1)

_log = logging.getLogger("bedrock_stream.auth")

Fetch = Callable[[], Awaitable[Credentials]]


class CredentialCache:
    """Keeps the keys of one source. `name` stands in log lines; `clock` tells the time, aware."""

    __slots__ = ("_clock", "_flights", "_kept", "_lasting", "_name", "_pause_until")

    def __init__(self, name: str, clock: Callable[[], datetime], *, lasting: bool) -> None:
        self._name = name
        self._clock = clock
        self._lasting = lasting
        self._kept: Credentials | None = None
        self._pause_until: datetime | None = None
        self._flights: dict[asyncio.AbstractEventLoop, asyncio.Task[Credentials]] = {}

    async def get(self, fetch: Fetch) -> Credentials:
        """Keys that hold. `fetch` asks the source; what that raises is raised only where no kept keys hold.

        Raises `ClientClosed` where `close` gives up what is waited for.
        """
        kept = self._kept
        if kept is None:
            return await self._join(fetch)
        if kept.expires_at is None:
            return kept
        now = self._clock()
        left = kept.expires_at - now
        if left > _ADVISORY or (self._paused(now) and left > timedelta(0)):
            return kept
        if left > _MANDATORY:
            self._flight(fetch)
            return kept
        try:
            return await self._join(fetch)
        except BedrockStreamError:
            if left > timedelta(0):
                return kept
            raise

    def distrust(self, refused: Credentials) -> None:
        """The service refused these keys: if they are the kept ones, the next request fetches others."""
        if self._kept == refused:
            self._kept = None
            self._pause_until = None

    def close(self) -> None:
        """Give up what the running loop is fetching."""
        flight = self._flights.get(asyncio.get_running_loop())
        if flight is not None:
            flight.cancel()

    async def _join(self, fetch: Fetch) -> Credentials:
        """Wait for the fetch that is under way, or for a new one; leaving does not stop it for the others."""
        flight = self._flight(fetch)
        try:
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if flight.cancelled() and task is not None and not task.cancelling():
                raise ClientClosed("the client was closed before its keys came") from None
            raise
        except BedrockStreamError as error:
            raise copy.copy(error) from error  # each who waited may write on its own

    def _flight(self, fetch: Fetch) -> asyncio.Task[Credentials]:
        loop = asyncio.get_running_loop()
        flight = self._flights.get(loop)
        if flight is None:
            flight = loop.create_task(self._fetch(fetch), name=f"keys of {self._name}", context=Context())
            self._flights[loop] = flight
            flight.add_done_callback(lambda done: self._landed(loop, done))
        return flight

    async def _fetch(self, fetch: Fetch) -> Credentials:
        found = await fetch()
        now = self._clock()
        if found.expires_at is not None and found.expires_at <= now:
            raise CredentialsUnavailable(self._name, f"its keys ended at {found.expires_at:%Y-%m-%d %H:%M:%S %Z}")
        if self._lasting or found.expires_at is not None:
            due_again = found.expires_at is not None and found.expires_at - now <= _ADVISORY
            self._pause_until = now + _PAUSE if due_again and self._kept is not None else None
            self._kept = found
        return found

    def _landed(self, loop: asyncio.AbstractEventLoop, flight: asyncio.Task[Credentials]) -> None:
        self._flights.pop(loop, None)
        if flight.cancelled():
            return
        error = flight.exception()
        if error is not None and self._kept is not None:
            self._pause_until = self._clock() + _PAUSE
            _log.warning("%s gave no new keys, the old ones stay in use: %s", self._name, error)

    def _paused(self, now: datetime) -> bool:
        return self._pause_until is not None and now < self._pause_until
