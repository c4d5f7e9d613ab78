"""News of answers: one connection of each event loop listens for all readers and writers of it.

A reader that waits is woken by a message, and every few seconds in case one was lost. The same task keeps the running
answers of this process marked as alive. It ends when there is nothing to listen for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from .connecting import GONE, SECONDS

__all__ = ("STOP", "Listener")

STOP = b"stop"
"""The message that asks a writer to stop."""

_PAUSE = 0.5  # seconds before it connects again


class _Channel:
    """Those of this event loop who follow one answer."""

    __slots__ = ("_changed", "is_used")

    def __init__(self) -> None:
        self.is_used = True  # since the last round
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def changed(self) -> asyncio.Future[None]:
        """Return a future that is done with the next news."""
        self.is_used = True
        return self._changed

    def notify(self) -> None:
        changed, self._changed = self._changed, asyncio.get_running_loop().create_future()
        changed.set_result(None)


class Listener:
    """Follows the channels of answers. `every` so many seconds, it calls the functions in `alive`."""

    def __init__(self, redis: Redis, every: float) -> None:
        self._redis = redis
        self._every = every
        self._channels: dict[bytes, _Channel] = {}
        self._pubsub: PubSub | None = None
        self._task: asyncio.Task[None] | None = None
        self.alive: dict[bytes, Callable[[], Awaitable[None]]] = {}
        """What marks each running answer as alive, by its channel."""
        self.on_stop: dict[bytes, Callable[[], None]] = {}
        """What stops each running answer, by its channel."""

    async def follow(self, channel: bytes) -> asyncio.Future[None]:
        """Return a future that is done with the next news of an answer: shield it, since others wait for it, too.

        The first news is that messages come from now on: so no change is missed by reading after this call, and again
        once the future is done.
        """
        kept = self._channels.get(channel)
        if kept is None:
            kept = self._channels[channel] = _Channel()
            changed = kept.changed()
            await self._subscribe(channel)
            return changed
        return kept.changed()

    async def close(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _subscribe(self, channel: bytes) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="relay news")
        elif self._pubsub is not None:
            # Where this fails, the task meets the same failure, and subscribes to all channels again.
            with contextlib.suppress(*GONE):
                await self._pubsub.subscribe(channel)

    async def _run(self) -> None:
        while self._channels:
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._listen(pubsub)
            except GONE:
                self._pubsub = None
                await self._look_around()
                await asyncio.sleep(_PAUSE)

    async def _listen(self, pubsub: PubSub) -> None:
        """Pass messages on until nobody listens. Raises where Redis is gone."""
        channels = list(self._channels)
        async with asyncio.timeout(SECONDS):
            await pubsub.subscribe(*channels)
        self._pubsub = pubsub
        if late := self._channels.keys() - set(channels):
            await pubsub.subscribe(*late)
        clock = asyncio.get_running_loop().time
        round_ends, is_answered = clock() + self._every, True
        while True:
            message = await pubsub.get_message(timeout=max(0.0, round_ends - clock()))
            if message is not None:
                is_answered = True
                self._pass_on(message["type"], message["channel"], message["data"])
            if clock() < round_ends:
                continue
            if not is_answered:
                raise ConnectionError("Redis does not answer")
            round_ends, is_answered = clock() + self._every, False
            unused = await self._look_around()
            if not self._channels:
                self._pubsub = None
                return
            if unused:
                await pubsub.unsubscribe(*unused)
            await pubsub.ping()  # a connection whose other end vanished says nothing, like one without news

    def _pass_on(self, kind: str, channel: bytes, data: bytes) -> None:
        if kind == "message" and data == STOP and (stop := self.on_stop.get(channel)) is not None:
            stop()
        elif kind in ("message", "subscribe") and (kept := self._channels.get(channel)) is not None:
            kept.notify()

    async def _look_around(self) -> list[bytes]:
        """Wake every reader, mark the running answers as alive, and return the channels that nobody follows."""
        for channel, mark in list(self.alive.items()):
            if channel in self.alive:
                await mark()
        unused = [name for name, channel in self._channels.items() if not channel.is_used and name not in self.alive]
        for name in unused:
            del self._channels[name]
        for followed in self._channels.values():
            followed.is_used = False
            followed.notify()
        return unused
