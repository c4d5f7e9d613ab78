"""`RayQuota`: one quota for all actors of a job, held by a named actor.

In each process only the first in line asks that actor, so that waiting rows cost nothing; the actor serves the
processes first come, first served. What is given back needs no answer and is not waited for.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from weakref import WeakKeyDictionary

from ...errors import ConfigurationError
from ...transport.quota import BaseQuota, Quota, QuotaStats, Reservation
from .need import need

__all__ = ("RayQuota",)

_log = logging.getLogger("bedrock_stream.quotas")

_NAMESPACE = "bedrock_stream"  # in which the jobs of a cluster find each other's quotas
_PAUSE = 0.5  # seconds, after the actor was lost


class _Holder:
    """The actor: a `Quota` whose callers are in other processes."""

    def __init__(self, limits: dict[str, float | None]) -> None:
        self._limits = limits
        self._quota = Quota(**limits)  # type: ignore[arg-type]

    async def limits(self) -> dict[str, float | None]:
        """Return the arguments of the quota."""
        return self._limits

    async def reserve(self, tokens: int) -> None:
        """Wait for one request and tokens, and take them."""
        await self._quota.reserve(tokens)

    async def settle(self, tokens: int) -> None:
        """Return tokens."""
        await self._quota.settle(tokens)

    async def give_back(self, tokens: int) -> None:
        """Return a request and tokens."""
        self._quota.give_back(tokens)

    async def throttled(self) -> None:
        """Halve the rate for a minute."""
        self._quota.throttled()


class RayQuota(BaseQuota):
    """A quota that all processes of a Ray cluster share by its `name`; all of them name the same limits.

    For the other arguments, see `Quota`. It lives as long as the job that used it first; should it be lost, it begins
    anew. It can be pickled. Raises `ConfigurationError`, on first use also for limits that differ.
    """

    def __init__(
        self,
        name: str,
        rpm: float | None = None,
        tpm: float | None = None,
        burn: float | None = None,
        reserve_output: float = 1.0,
        burst: float = 0.1,
    ) -> None:
        super().__init__(rpm, tpm, burn, reserve_output, burst)
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError("RayQuota.name", f"expected a name, got {name!r}")
        self.name: str = name
        """Its name in the cluster."""
        self._ray = need("ray")
        self._holder: Any = None
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._waiting = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.rpm, self.tpm, self.burn, self.reserve_output, self.burst)

    def start(self) -> None:
        """Find or make the actor; blocks. The process that makes it owns it, and it ends with that process.

        Raises `ConfigurationError` if it is there with other limits.
        """
        limits = {name: getattr(self, name) for name in ("rpm", "tpm", "burn", "reserve_output", "burst")}
        actor = self._ray.remote(_Holder).options(
            name=f"quota {self.name}", namespace=_NAMESPACE, get_if_exists=True, num_cpus=0, max_restarts=-1
        )
        holder = actor.remote(limits)
        found = self._ray.get(holder.limits.remote())
        if found != limits:
            problem = f"{self.name!r} is in use with other limits: {found}"
            raise ConfigurationError("RayQuota", problem, "use the same limits, or another name")
        self._holder = holder

    async def reserve(self, tokens: int, *, burn: float | None = None) -> Reservation:
        """See `BaseQuota.reserve`. The order is that of the first in line of each process."""
        self._check(tokens)
        line = self._lines.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        self._waiting += 1
        try:
            async with line:
                await self._take(tokens)
        finally:
            self._waiting -= 1
        return self._reservation(tokens, burn)

    async def settle(self, tokens: int) -> None:
        """See `BaseQuota.settle`."""
        self._tell("settle", tokens)

    def give_back(self, tokens: int) -> None:
        """See `BaseQuota.give_back`."""
        super().give_back(tokens)
        self._tell("give_back", tokens)

    def throttled(self) -> None:
        """See `BaseQuota.throttled`. All processes are slowed down."""
        super().throttled()
        self._tell("throttled")

    def stats(self) -> QuotaStats:
        """See `BaseQuota.stats`."""
        return self._stats(self._waiting, (None, None), slowed=False)

    # ------------------------------------------------------------------------------------------------------- internals

    async def _take(self, tokens: int) -> None:
        while True:
            try:
                if self._holder is None:
                    await asyncio.get_running_loop().run_in_executor(None, self.start)
                granted = asyncio.wrap_future(self._holder.reserve.remote(tokens).future())
                try:
                    await asyncio.shield(granted)
                except asyncio.CancelledError:
                    # The actor cannot be told to forget it: what it grants later is given back.
                    granted.add_done_callback(lambda done: self._return(done, tokens))
                    raise
            except self._ray.exceptions.RayActorError as error:
                _log.warning("quota %r was lost and begins anew: %s", self.name, type(error).__name__)
                self._holder = None
                await asyncio.sleep(_PAUSE)
            else:
                return

    def _return(self, granted: asyncio.Future[None], tokens: int) -> None:
        if not granted.cancelled() and granted.exception() is None:
            self._tell("give_back", tokens)

    def _tell(self, method: str, *arguments: int) -> None:
        if self._holder is not None:
            getattr(self._holder, method).remote(*arguments)
