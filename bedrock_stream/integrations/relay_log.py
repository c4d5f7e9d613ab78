"""The logs of a relay: what each running answer has sent so far, for any number of readers.

`RelayLog` is the interface; `MemoryLog` keeps the logs in this process. Each event has an id, by which a reader goes on
behind the last event that it received.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Protocol
from uuid import uuid4

from ..errors import RelayFull

__all__ = ("LogReader", "LogWriter", "MemoryLog", "RelayLog")

_BATCH = 256  # events that a reader takes at a time
_POINTER = 9  # bytes in a list, which grows by an eighth more than it needs


class LogWriter(Protocol):
    """The log of one running answer, for the task that writes it."""

    async def append(self, events: Sequence[bytes]) -> None:
        """Append server-sent events, each complete and without an id."""

    async def end(self, keep: float) -> None:
        """Mark the end, and drop the log after `keep` seconds."""

    async def stopped(self) -> None:
        """Return once `RelayLog.stop` was called, or another answer took the key."""

    def reader(self) -> LogReader:
        """Return a reader of this log from its start."""


class LogReader(Protocol):
    """A position in the log of one answer. Another answer under the same key does not change it."""

    @property
    def resumed(self) -> bool:
        """Whether the reader began behind an event that it named."""

    @property
    def running(self) -> bool:
        """Whether the answer has not ended."""

    async def read(self) -> Sequence[bytes]:
        """Wait for the next server-sent events, each with its id; empty once the answer has ended."""


class RelayLog(Protocol):
    """Logs by the keys of their answers."""

    async def begin(self, key: str, max_age: float) -> LogWriter:
        """Begin an empty log, and drop it after `max_age` seconds. Stop an answer that has the key.

        Raises `RelayFull`.
        """

    async def open(self, key: str, after: str | None) -> LogReader | None:
        """Return a reader of the newest answer under a key; None for an unknown key.

        It begins behind the event with the id `after`; at the start for None, and for an id of another answer.
        """

    async def stop(self, key: str) -> bool:
        """Ask the writer of a running answer to stop it. Return False if none is running."""


class _Log:
    """The log of one answer."""

    def __init__(self) -> None:
        self.name: str = uuid4().hex[
            :12
        ]  # part of the ids, so that those of another answer are not mistaken for its own
        self.events: list[bytes] = []
        self.size = 0  # bytes of memory
        self.ended = False
        self.stop: asyncio.Event = asyncio.Event()
        self.expiry: asyncio.TimerHandle | None = None
        self._changed: asyncio.Future[None] | None = None  # set by readers that wait

    def position(self, after: str | None) -> int | None:
        """Return how many events there are up to an id; None for an id of another answer."""
        name, _, number = (after or "").rpartition("-")
        if name != self.name or not (number.isascii() and number.isdecimal()):
            return None
        return min(int(number[:9]), len(self.events))

    async def change(self) -> None:
        """Wait for the next change."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    def notify(self) -> None:
        """Wake the readers that wait."""
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)


class MemoryLog:
    """Logs in the memory of this process, for one event loop.

    `max_answers`, `max_bytes`: how many logs it holds, and of which size together. To begin another one above a limit,
    it drops ended logs, and refuses if all are running. Each event counts with what Python needs for it.
    """

    def __init__(self, max_answers: int = 1000, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._logs: dict[str, _Log] = {}

    async def begin(self, key: str, max_age: float) -> LogWriter:
        """See `RelayLog`."""
        await self.stop(key)
        self._drop(key, self._logs.get(key))
        while self._is_full():
            ended = next((key for key, log in self._logs.items() if log.ended), None)
            if ended is None:
                raise RelayFull(f"the relay holds {len(self._logs)} running answers")
            self._drop(ended, self._logs[ended])
        log = self._logs[key] = _Log()
        self._drop_later(key, log, max_age)
        return _MemoryWriter(self, key, log)

    async def open(self, key: str, after: str | None) -> LogReader | None:
        """See `RelayLog`."""
        log = self._logs.get(key)
        return None if log is None else _MemoryReader(log, after)

    async def stop(self, key: str) -> bool:
        """See `RelayLog`."""
        log = self._logs.get(key)
        if log is None or log.ended:
            return False
        log.stop.set()
        return True

    def _is_full(self) -> bool:
        size = sum(log.size for log in self._logs.values())
        return len(self._logs) >= self._max_answers or size >= self._max_bytes

    def _drop_later(self, key: str, log: _Log, seconds: float) -> None:
        """Drop a log after some seconds, instead of when it was to be dropped before."""
        if log.expiry is not None:
            log.expiry.cancel()
        log.expiry = asyncio.get_running_loop().call_later(seconds, self._drop, key, log)

    def _drop(self, key: str, log: _Log | None) -> None:
        if log is not None and self._logs.get(key) is log:
            del self._logs[key]
            if log.expiry is not None:  # it refers to the log
                log.expiry.cancel()


class _MemoryWriter:
    def __init__(self, logs: MemoryLog, key: str, log: _Log) -> None:
        self._logs = logs
        self._key = key
        self._log = log

    async def append(self, events: Sequence[bytes]) -> None:
        log = self._log
        for data in events:
            event = b"id: %s-%d\n%s" % (log.name.encode(), len(log.events) + 1, data)
            log.events.append(event)
            log.size += sys.getsizeof(event) + _POINTER
        log.notify()

    async def end(self, keep: float) -> None:
        self._log.ended = True
        self._log.notify()
        self._logs._drop_later(self._key, self._log, keep)

    async def stopped(self) -> None:
        await self._log.stop.wait()

    def reader(self) -> LogReader:
        return _MemoryReader(self._log, None)


class _MemoryReader:
    def __init__(self, log: _Log, after: str | None) -> None:
        self._log = log
        position = log.position(after)
        self.resumed = position is not None
        self._position = position or 0

    @property
    def running(self) -> bool:
        return not self._log.ended

    async def read(self) -> Sequence[bytes]:
        log = self._log
        while self._position == len(log.events) and not log.ended:
            await log.change()
        batch = log.events[self._position : self._position + _BATCH]
        self._position += len(batch)
        return batch
