"""A quota that many processes share, kept in Redis.

    quota = RedisQuota("redis://cache:6379", "123456789012/us-east-1/claude", rpm=1000, tpm=2_000_000)
    client = Client(quotas={"anthropic.claude-sonnet-4": quota})

One script does everything in one step, by the clock of Redis, on one hash. In each process only the first in line asks,
so that any number of waiting calls costs one connection and a few questions a second; across processes a short line in
the hash keeps the order. A process that dies needs no clean-up: its place in line ends within half a second, and what
it reserved refills within a minute. While Redis is gone, calls are not held up, and one warning says so.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import uuid4

from ...transport.per_loop import PerLoop
from ...transport.quota import BaseQuota, QuotaStats, Reservation
from .connecting import GONE, SECONDS, Absence, Address, check_name, connect, read_url

__all__ = ("RedisQuota",)

_log = logging.getLogger("bedrock_stream.quotas")

_POLL = 0.1  # seconds; others give back meanwhile
_GONE = 2.0  # seconds until a server that is gone is asked again

# Levels and times are floats; the line is `id tokens seen;` for each process that waits, the first one first.
_SCRIPT = """
local rpm, tpm, burst, id = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local wanted, requests_back, tokens_back = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'at', 'requests', 'tokens', 'slow', 'line')
local most_requests = rpm > 0 and math.max(1, rpm * burst) or math.huge
local most_tokens = tpm > 0 and math.max(1, tpm * burst) or math.huge
local at, slow = tonumber(kept[1] or now), tonumber(kept[4] or 0)
local passed = math.max(0, now - at)
passed = passed - math.min(passed, math.max(0, slow - at)) / 2
local requests = math.min(most_requests, (tonumber(kept[2]) or most_requests) + passed * rpm / 60 + requests_back)
local tokens = math.min(most_tokens, (tonumber(kept[3]) or most_tokens) + passed * tpm / 60 + tokens_back)
if ARGV[8] == '1' then slow = now + 60 end

local line, mine, wait = {}, nil, 0
for asker, amount, seen in string.gmatch(kept[5] or '', '(%S+) (%S+) (%S+);') do
  if asker == id then
    if wanted >= 0 then mine = {id, wanted, now}; table.insert(line, mine) end
  elseif now - seen < 0.5 then
    table.insert(line, {asker, tonumber(amount), tonumber(seen)})
  end
end
if wanted >= 0 then
  if not mine then mine = {id, wanted, now}; table.insert(line, mine) end
  local requests_left, tokens_left = requests, tokens
  for place, entry in ipairs(line) do
    if entry == mine then
      if rpm > 0 then wait = (1 - requests_left) * 60 / rpm end
      if tpm > 0 then wait = math.max(wait, (math.min(wanted, most_tokens) - tokens_left) * 60 / tpm) end
      if wait < 0.000001 then
        wait = 0
        requests, tokens = requests - 1, tokens - wanted
        table.remove(line, place)
      else
        wait = wait + math.min(wait, math.max(0, slow - now) / 2)
      end
      break
    end
    requests_left, tokens_left = requests_left - 1, tokens_left - entry[2]
  end
end
local parts = {}
for _, entry in ipairs(line) do
  table.insert(parts, string.format('%s %d %.6f;', entry[1], entry[2], entry[3]))
end
redis.call('HSET', KEYS[1], 'at', string.format('%.6f', now), 'slow', string.format('%.6f', slow),
  'line', table.concat(parts))
if rpm > 0 then redis.call('HSET', KEYS[1], 'requests', string.format('%.9f', requests)) end
if tpm > 0 then redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens)) end
redis.call('EXPIRE', KEYS[1], 120)
return {string.format('%.6f', wait), now < slow and 1 or 0}
"""


class _Server:
    """The connections of one event loop, and its line."""

    def __init__(self, address: Address) -> None:
        self._redis = connect(address)
        self.script: Any = self._redis.register_script(_SCRIPT)
        self.id: str = uuid4().hex
        """Its name in the line of all processes."""
        self.line: asyncio.Lock = asyncio.Lock()
        """First come, first served: held by the call that asks."""
        self.news: asyncio.Event = asyncio.Event()
        """Set when a call of this loop has given something back."""
        self.is_asleep: bool = False
        """Whether the call that asks sleeps before it asks again."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds, or on news."""
        self.is_asleep = True
        self.news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self.news.wait()
        except TimeoutError:
            pass
        finally:
            self.is_asleep = False

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def abandon(self) -> None:
        """Forget the connections, which the system closes."""


class RedisQuota(BaseQuota):
    """A quota that is shared by every process with the same `url` and `key`; all of them name the same limits.

    `url`: as for redis-py: `redis://`, `rediss://` or `unix://`, with user and password. `key`: a name for the quota,
    such as account, region and model; it becomes a part of the key in Redis. For the other arguments, see `Quota`.

    `aclose()` closes its connections; those of an event loop are also closed with the loop. Raises
    `ConfigurationError`.
    """

    def __init__(
        self,
        url: str,
        key: str,
        rpm: float | None = None,
        tpm: float | None = None,
        burn: float | None = None,
        reserve_output: float = 1.0,
        burst: float = 0.1,
    ) -> None:
        super().__init__(rpm, tpm, burn, reserve_output, burst)
        self._key = f"bedrock-stream:quota:{check_name('RedisQuota.key', key)}"
        address = read_url("RedisQuota.url", url)
        self._servers = PerLoop(lambda: _Server(address), "the quota")
        self._waiting = 0
        self._requests_back = self._tokens_back = 0  # that Redis has not been told
        self._is_throttled = False  # the same
        self._is_slow = False
        self._absence = Absence(_GONE)

    async def reserve(self, tokens: int, *, burn: float | None = None) -> Reservation:
        """See `BaseQuota.reserve`. The order is that of the first in line of each process.

        While Redis is gone it returns at once, with a reservation that nobody counts.
        """
        self._check(tokens)
        server = await self._servers.current()
        self._waiting += 1
        try:
            # While one call asks whether it is back, the others do not wait for it.
            if self._absence.is_current or (self._absence.is_known and server.line.locked()):
                return self._reservation(tokens, burn, is_counted=False)
            async with server.line:
                is_counted = await self._take(server, tokens)
        finally:
            self._waiting -= 1
        return self._reservation(tokens, burn, is_counted=is_counted)

    async def settle(self, tokens: int) -> None:
        """See `BaseQuota.settle`."""
        self._tokens_back += tokens
        server = await self._servers.current()
        if server.is_asleep:  # the call that asks will tell it
            server.news.set()
        elif not self._absence.is_current:
            await self._ask(server, -1)

    def give_back(self, tokens: int) -> None:
        """See `BaseQuota.give_back`. Redis is told with the next call: nothing is awaited here."""
        super().give_back(tokens)
        self._requests_back += 1
        self._tokens_back += tokens

    def throttled(self) -> None:
        """See `BaseQuota.throttled`. All processes are slowed down, from the next call on."""
        super().throttled()
        self._is_throttled = True

    def stats(self) -> QuotaStats:
        """See `BaseQuota.stats`."""
        return self._stats(self._waiting, (None, None), slowed=self._is_slow)

    async def aclose(self) -> None:
        """Close the connections of every event loop; a later `reserve` raises `ClientClosed`."""
        await self._servers.aclose()

    # ------------------------------------------------------------------------------------------------------- internals

    async def _take(self, server: _Server, tokens: int) -> bool:
        """Wait until Redis grants it. Return False if Redis is gone."""
        while not self._absence.is_current:
            wait = await self._ask(server, tokens)
            if not wait:
                return wait is not None
            await server.sleep(min(wait, _POLL))
        return False

    async def _ask(self, server: _Server, tokens: int) -> float | None:
        """Run the script; -1 reserves nothing. Return the seconds to wait, or None if Redis is gone."""
        requests_back, tokens_back = self._requests_back, self._tokens_back
        is_throttled = self._is_throttled
        # An answer that is lost may have taken effect, so it is not told twice.
        self._requests_back = self._tokens_back = 0
        self._is_throttled = False
        limits = (self.rpm or 0, self.tpm or 0, self.burst)
        arguments = (*limits, server.id, tokens, requests_back, tokens_back, int(is_throttled))
        try:
            async with asyncio.timeout(SECONDS):
                wait, slow = await server.script(keys=[self._key], args=arguments)
        except GONE as error:
            if self._absence.begin():
                _log.warning("Redis is gone, so quota %s is not kept until it is back: %r", self._key, error)
            return None
        if self._absence.end():
            _log.warning("Redis is back: quota %s is kept again", self._key)
        self._is_slow = bool(slow)
        return float(wait)
