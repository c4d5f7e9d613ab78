"""The logs of a relay in Redis: any process reads on, and stops, what another one writes.

An answer is a list of events, which ends with an empty one. Beside it are the name of the newest answer under a key,
and the state of the answer, which only its living process keeps there. The process that writes also has the events in
memory, so that its own reader does not depend on Redis, and what Redis lost is written again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any

from redis.exceptions import OutOfMemoryError

from ...auth.credentials import without_frames
from ...errors import ConfigurationError, RelayFull, RelayUnavailable, StreamInterrupted
from ...transport.per_loop import PerLoop
from ..relay_log import BATCH, Events, EventsReader, LogReader, LogWriter, position
from .connecting import GONE, SECONDS, Absence, Address, check_name, connect, read_url
from .news import Listener

__all__ = ("RedisLog",)

_log = logging.getLogger("bedrock_stream.relay")

_LEASE = 30.0  # seconds for which an answer counts as running without a sign of its process
_ROUND = 10.0  # seconds between those signs
_WRITE_SECONDS = 1.0  # for what a writer does: meanwhile nothing is read of the answer
_RETRY = 5.0  # seconds until a server that is gone is asked again

# KEYS: answer, state, running. ARGV: name, milliseconds to keep, lease, most answers, whether it is there again.
_BEGIN = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if redis.call('ZCOUNT', KEYS[3], now, '+inf') >= tonumber(ARGV[4]) then return 0 end
local before = redis.call('GET', KEYS[1])
if ARGV[5] == '1' and before and before ~= ARGV[1] then return 1 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])  -- the first change, which Redis refuses if it has no memory left
if before and before ~= ARGV[1] and redis.call('SET', ARGV[6] .. 'state:' .. before, 'stop', 'XX', 'KEEPTTL') then
  redis.call('PUBLISH', ARGV[6] .. 'news:' .. before, 'stop')
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
redis.call('SET', KEYS[2], 'running', 'PX', ARGV[3])
redis.call('ZADD', KEYS[3], now + ARGV[3], ARGV[1])
return 1
"""

# KEYS: log. ARGV: channel, milliseconds to keep, number of events before these, the events. Returns how many it has.
_APPEND = """
local have, first = redis.call('LLEN', KEYS[1]), tonumber(ARGV[3])
if have < first then return have end
for place = 4 + have - first, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[place]) end
if have == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('PUBLISH', ARGV[1], '')
return redis.call('LLEN', KEYS[1])
"""

# KEYS: answer, state, running, log. ARGV: name, milliseconds to keep, channel.
_END = """
redis.call('RPUSH', KEYS[4], '')
redis.call('PEXPIRE', KEYS[4], ARGV[2])
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('PUBLISH', ARGV[3], '')
"""

# KEYS: answer, state, running. ARGV: name, lease. Returns whether it has to stop.
_SIGN = """
local newest = redis.call('GET', KEYS[1])
if redis.call('GET', KEYS[2]) == 'stop' or (newest and newest ~= ARGV[1]) then return 1 end
local clock = redis.call('TIME')
redis.call('SET', KEYS[2], 'running', 'PX', ARGV[2])
redis.call('ZADD', KEYS[3], clock[1] * 1000 + ARGV[2], ARGV[1])
return 0
"""

# KEYS: answer. ARGV: prefix.
_STOP = """
local name = redis.call('GET', KEYS[1])
if not (name and redis.call('SET', ARGV[1] .. 'state:' .. name, 'stop', 'XX', 'KEEPTTL')) then return 0 end
redis.call('PUBLISH', ARGV[1] .. 'news:' .. name, 'stop')
return 1
"""

# KEYS: answer. ARGV: prefix. Returns the name, how many events it has, and whether it runs.
_OPEN = """
local name = redis.call('GET', KEYS[1])
if not name then return nil end
local log = ARGV[1] .. 'log:' .. name
local count = redis.call('LLEN', log)
if redis.call('LINDEX', log, -1) == '' then count = count - 1 end
return {name, count, redis.call('EXISTS', ARGV[1] .. 'state:' .. name)}
"""


class _Server:
    """The connections of one event loop."""

    def __init__(self, address: Address) -> None:
        self.redis = connect(address)
        self.listener = Listener(self.redis, _ROUND)
        self.begin, self.append, self.end, self.sign, self.stop, self.open = (
            self.redis.register_script(script) for script in (_BEGIN, _APPEND, _END, _SIGN, _STOP, _OPEN)
        )

    async def close(self) -> None:
        """Close the connections."""
        await self.listener.close()
        await self.redis.aclose()

    def abandon(self) -> None:
        """Forget the connections, which the system closes."""


class RedisLog:
    """The log of a `Relay` in Redis, for every process with the same `url` and `prefix`: `Relay(RedisLog(url))`.

    `url`: as for redis-py: `redis://`, `rediss://` or `unix://`, with user and password; Redis 6 or newer, not a
    cluster. `prefix`: of its keys. `max_answers`: how many answers may run at once in all processes. Everything in
    Redis has a time to live, by the limits of the `Relay`.

    While Redis is gone, an answer goes on for the response that started it, and one warning is logged; once it is back,
    it gets what it lacks. Other readers, and `Relay.stop`, get `RelayUnavailable`. If the process of an answer dies,
    its readers get `StreamInterrupted` within 40 s.

    `aclose()` closes its connections; those of an event loop are also closed with the loop. Raises
    `ConfigurationError`.
    """

    def __init__(self, url: str, *, prefix: str = "bedrock-stream:relay", max_answers: int = 10_000) -> None:
        address = read_url("RedisLog.url", url)
        if isinstance(max_answers, bool) or not isinstance(max_answers, int) or max_answers < 1:
            raise ConfigurationError("RedisLog.max_answers", f"expected a positive int, got {max_answers!r}")
        self._prefix = f"{check_name('RedisLog.prefix', prefix)}:".encode()
        self._max_answers = max_answers
        self._servers = PerLoop(lambda: _Server(address), "the log")

    async def begin(self, key: str, max_age: float) -> LogWriter:
        """See `RelayLog`."""
        writer = _Writer(self, await self._servers.current(), key, max_age)
        await writer.begin()
        return writer

    async def open(self, key: str, after: str | None) -> LogReader | None:
        """See `RelayLog`. Raises `RelayUnavailable`."""
        server = await self._servers.current()
        with _Answered():
            async with asyncio.timeout(SECONDS):
                found = await server.open(keys=[self._key(b"answer", key.encode())], args=[self._prefix])
        if found is None:
            return None
        name, count, is_running = found
        return _Reader(self, name, position(after, name.decode(), count), is_running=bool(is_running))

    async def stop(self, key: str) -> bool:
        """See `RelayLog`. Raises `RelayUnavailable`."""
        server = await self._servers.current()
        with _Answered():
            async with asyncio.timeout(SECONDS):
                return bool(await server.stop(keys=[self._key(b"answer", key.encode())], args=[self._prefix]))

    async def aclose(self) -> None:
        """Close the connections of every event loop; later use raises `ClientClosed`."""
        await self._servers.aclose()

    def _key(self, kind: bytes, name: bytes) -> bytes:
        return b"%s%s:%s" % (self._prefix, kind, name)


class _Answered(contextlib.AbstractContextManager[None]):
    """Turns what is raised where Redis is gone into an error of this library."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, GONE):
            problem = f"the Redis of the relay does not answer: {type(error).__name__}"
            raise RelayUnavailable(problem) from without_frames(error)


class _Writer:
    """The log of a running answer: in memory, and copied to Redis."""

    def __init__(self, log: RedisLog, server: _Server, key: str, max_age: float) -> None:
        self._server = server
        self._events = Events()
        self._name = name = self._events.name.encode()
        self._answer, self._state = log._key(b"answer", key.encode()), log._key(b"state", name)
        self._running, self._log = log._prefix + b"running", log._key(b"log", name)
        self._channel = log._key(b"news", name)
        self._prefix, self._max_answers = log._prefix, log._max_answers
        self._expires = monotonic() + max_age
        self._begun = self._was_begun = False
        self._sent = 0
        self._absence = Absence(_RETRY)

    async def begin(self) -> None:
        """Make it the newest answer under its key. Raises `RelayFull`."""
        await self._try(self._begin)

    async def append(self, events: Sequence[bytes]) -> None:
        self._events.append(events)
        if not self._absence.is_current:
            await self._try(self._send)

    async def end(self, keep: float) -> None:
        self._events.end()
        self._server.listener.alive.pop(self._channel, None)
        self._server.listener.on_stop.pop(self._channel, None)
        keys = [self._answer, self._state, self._running, self._log]

        async def end() -> None:
            await self._send()
            await self._server.end(keys=keys, args=[self._name, int(keep * 1000), self._channel])

        await self._try(end)

    async def stopped(self) -> None:
        listener = self._server.listener
        listener.alive[self._channel] = self._give_sign
        listener.on_stop[self._channel] = self._events.stop.set
        await listener.follow(self._channel)
        await self._give_sign()  # it may have been stopped before
        await self._events.stop.wait()

    def reader(self) -> LogReader:
        return EventsReader(self._events, None)

    # ------------------------------------------------------------------------------------------------------- internals

    async def _begin(self) -> None:
        limits = [self._left(), int(_LEASE * 1000), self._max_answers, int(self._was_begun)]
        try:
            answered = await self._server.begin(
                keys=[self._answer, self._state, self._running], args=[self._name, *limits, self._prefix]
            )
        except OutOfMemoryError:
            answered = 0
        if not answered and not self._was_begun and not self._sent and not self._events.events:
            raise RelayFull(f"Redis holds {self._max_answers} running answers, or has no memory left")
        self._begun = self._was_begun = True

    async def _send(self) -> None:
        """Send what Redis lacks."""
        events = self._events.events
        if not self._begun:
            await self._begin()
        while self._sent < len(events):
            batch = events[self._sent : self._sent + BATCH]
            have = await self._server.append(keys=[self._log], args=[self._channel, self._left(), self._sent, *batch])
            if have < self._sent:  # Redis lost it, and more than this list
                await self._begin()
            self._sent = have

    async def _give_sign(self) -> None:
        async def sign() -> None:
            keys = [self._answer, self._state, self._running]
            if await self._server.sign(keys=keys, args=[self._name, int(_LEASE * 1000)]):
                self._events.stop.set()
            await self._send()

        if not self._absence.is_current:
            await self._try(sign)

    async def _try(self, step: Any) -> None:
        """Do a step; where Redis is gone, the answer goes on without it."""
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                await step()
        except GONE as error:
            if self._absence.begin():
                _log.warning("Redis is gone, so an answer of the relay cannot be resumed until it is back: %r", error)
        else:
            self._absence.end()

    def _left(self) -> int:
        """Return for how many milliseconds to keep it."""
        return max(1, int((self._expires - monotonic()) * 1000))


class _Reader:
    """A position in the log of one answer, of any process."""

    def __init__(self, log: RedisLog, name: bytes, begin: int | None, *, is_running: bool) -> None:
        self._logs = log
        self._channel, self._state, self._log = (log._key(kind, name) for kind in (b"news", b"state", b"log"))
        self.resumed = begin is not None
        self.running = is_running
        self._position = begin or 0
        self._is_at_end = False

    async def read(self) -> Sequence[bytes]:
        if self._is_at_end:
            return ()
        server = await self._logs._servers.current()
        with _Answered():
            batch = await self._take(server)
            while not batch and not self._is_at_end:
                changed = await server.listener.follow(self._channel)
                batch = await self._take(server)  # what came before it followed
                if not batch and not self._is_at_end:
                    await asyncio.shield(changed)
        return batch

    async def _take(self, server: _Server) -> Sequence[bytes]:
        """Return the next events that are there. Raises `StreamInterrupted` if no others will follow."""
        async with asyncio.timeout(SECONDS), server.redis.pipeline(transaction=False) as pipeline:
            # In this order: an answer that has ended has its last event.
            pipeline.exists(self._state)
            pipeline.lrange(self._log, self._position, self._position + BATCH - 1)
            is_running, events = await pipeline.execute()
        if events and not events[-1]:
            events.pop()
            self._is_at_end = True
            self.running = False
        elif not events and not is_running:
            self.running, self._is_at_end = False, True
            raise StreamInterrupted("the process that wrote the answer is gone, or the answer is no longer kept")
        self._position += len(events)
        return tuple(events)
