"""Runs the rows of a batch: workers take a prompt, ask it, write it to the journal, and put it into the outbox.

At most `concurrency` rows are in flight, and as many have ended and are unread; with `ordered`, four times as many. How
many requests are sent at once is learned by the lanes of the models. The only tasks are the workers, which are started
one by one as prompts come, and a row starts in a visit of the loop in which no other does. A row's failure ends no
batch; what does is in `stop` and in `refusals`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import msgspec

from ..auth.credentials import without_frames
from ..client.attempts import Attempts
from ..errors import BatchStopped, BedrockStreamError, ClientClosed, RowInvalid
from ..observing import Attempt
from ..transport.lanes import Lane
from ..transport.slots import StartPacer
from ..types.events import Usage
from ..types.response import Response
from ..types.settings import THROTTLES
from .asking import Asker, Asking
from .asks import Ask, read_ask
from .committed import sum_of
from .intake import Intake
from .journal import JournalFailed, Records
from .keys import Keys
from .outbox import Outbox
from .progress import Progress, Tally
from .records import Recorded
from .refusals import Refusals
from .repeats import Repeat, Repeats, repeat_of
from .rows import Row
from .stop import Stop
from .watching import Watch

__all__ = ("Engine",)

_CLOSED = "it was closed"


class _GivenUp(Exception):
    """A row waits for a throttled model, and the batch has stopped."""


class Engine:
    """The machine of one batch. Its tasks refer to it and not to the `Batch`, so that a dropped batch ends them."""

    def __init__(
        self,
        intake: Intake,
        keys: Keys,
        make_asker: Callable[..., Asker],
        *,
        concurrency: int,
        ordered: bool,
        stop: Stop,
        patience: float,
        records: Records | None,
        dedupe: bool = False,
        watch: Callable[[Callable[[], Progress]], Watch | None] = lambda _progress: None,
    ) -> None:
        """`watch` is called at the start, and returns the observers."""
        self._intake = intake
        self._keys = keys
        self._asker = make_asker(on_retry=self._on_retry)
        self._concurrency = concurrency
        self._ceilings = stop
        self._patience = patience
        self._records = records
        self._repeats = Repeats() if dedupe else None
        self._make_watch = watch
        self._watch: Watch | None = None
        self._outbox: Outbox[Row | Recorded] = Outbox(ordered=ordered)
        self._room = asyncio.Semaphore((4 if ordered else 2) * concurrency)
        self._pacer = StartPacer()
        self._workers: dict[asyncio.Task[None], Asking | None] = {}
        self._news = asyncio.Event()
        self._tally = Tally()
        self._refusals = Refusals()
        self._lanes: dict[Lane, tuple[int, int, float]] = {}  # with its throttles, pauses and their seconds before
        self._find_lane: Callable[[str, str], Lane] | None = None
        self._starting = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None  # once it has started
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = self._closed = False
        self._left_open = 0
        self._why: str | None = None
        self._journal_error: OSError | None = None
        self._failure: BaseException | None = None

    # --------------------------------------------------------------------------------------------------- for the batch

    async def start(self) -> None:
        """Open the journal and start to ask. Raises what keeps the batch from it."""
        async with self._starting:
            if self._loop is not None or self._closed:
                return
            try:
                if self._ceilings.cost is not None:
                    self._asker.check_price()
                self._find_lane = (await self._asker.state.transports.current()).lanes.lane
                if self._records is not None:
                    await self._records.open(self._journal_failed)
            except BaseException as error:
                self._why, self._left_open = f"it could not start: {error!r}", 1
                await self.aclose()
                raise
            self._loop = asyncio.get_running_loop()
            self._watch = self._make_watch(self.progress)
            if self._watch is not None and self._records is not None:
                self._records.on_sync = self._watch.synced
            if (seconds := self._ceilings.seconds) is not None:
                self._timer = self._loop.call_later(seconds, self.stop, f"{seconds:g} s have passed (Stop.seconds)")
            self._spawn()

    async def next(self) -> Row:
        """Return the next row. Raises `StopAsyncIteration` at the end, `BatchStopped`, and what the prompts raised."""
        await self.start()
        while not self._outbox.ready:
            if not self._workers:
                await self.aclose()
                raise self._end()
            self._news.clear()
            await self._news.wait()
        entry = self._outbox.ready.popleft()
        self._room.release()
        return self._reused(entry) if isinstance(entry, Recorded) else entry

    async def drain(self) -> None:
        """Take no more prompts, and return once the rows in flight have ended."""
        self.stop(None)
        while self._workers:
            await asyncio.wait(self._workers)

    async def aclose(self) -> None:
        """Stop at once, and close all connections, the prompts and the journal.

        Raises `BatchStopped` if the last records could not be stored.
        """
        if not self._closed and (self._workers or self._outbox.ready or self._loop is None):
            self._why = self._why or _CLOSED
            self._left_open += len(self._outbox.ready)
            self._outbox.ready.clear()
        self._stopping = self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        workers = [task for task in self._workers if task.cancel()]
        if workers:
            await asyncio.wait(workers)
        await self._intake.aclose()
        try:
            if self._records is not None:
                await self._records.aclose()
        except JournalFailed as failure:
            self._journal_error = failure.error
            raise self._end() from None
        finally:
            self._report_end()

    def abandon(self) -> bool:
        """Close soon; called from any thread. Return whether anything was open."""
        loop = self._loop
        if loop is None or self._closed or loop.is_closed():
            return False
        loop.call_soon_threadsafe(_close_soon, self)
        return True

    def progress(self) -> Progress:
        """Return how far the batch is; on any thread."""
        tally, total = self._tally, self._intake.total
        rate = tally.rows_per_second()
        left = None if total is None else total - tally.done - tally.failed
        busy = [asking for asking in list(self._workers.values()) if asking is not None]
        lanes = list(self._lanes.items())
        sent = sum(asking.is_sent for asking in busy)
        paused = self._paused_until()
        return Progress(
            total=total,
            done=tally.done,
            failed=tally.failed,
            reused=tally.reused,
            in_flight=sent,
            waiting=len(busy) - sent + (0 if self._repeats is None else self._repeats.waiting),
            throttled=sum(lane.throttles - before for lane, (before, _, _) in lanes),
            pauses=sum(lane.pauses - before for lane, (_, before, _) in lanes),
            paused_seconds=sum(lane.paused_seconds - before for lane, (_, _, before) in lanes),
            paid_again=tally.paid_again,
            window=min(self._concurrency, sum(lane.limit for lane, _ in lanes) or self._concurrency),
            committed=sum_of([asking.bound for asking in busy]),
            usage=tally.usage,
            cost=tally.cost,
            rows_per_second=rate,
            eta=None if left is None or not rate else left / rate,
            paused_until=paused,
            reason=self._why or ("throttled" if paused is not None else self._asker.slowed),
        )

    def _paused_until(self) -> datetime | None:
        moments = [lane.paused_until for lane in list(self._lanes) if lane.is_paused]
        if not moments or self._loop is None:
            return None
        return datetime.now(UTC) + timedelta(seconds=max(moments) - self._loop.time())

    # ------------------------------------------------------------------------------------------------------- stopping

    def stop(self, why: str | None, failure: BaseException | None = None) -> None:
        """Take no more prompts. Rows that wait for a throttled model stay open; the others in flight end.

        Without `why`, the caller asked for it, and the batch ends without an error.
        """
        if not self._stopping:
            self._stopping, self._why, self._failure = True, why, failure
            self._intake.end()
        self._give_up()

    def _give_up(self) -> None:
        """Cancel the workers that wait for a prompt, for room or for a throttled model."""
        for task, asking in self._workers.items():
            if task is not asyncio.current_task() and (asking is None or asking.is_held_up):
                task.cancel()

    def _on_retry(self, attempt: Attempt) -> None:
        """Take a failed attempt of a row that is followed by another one."""
        if self._stopping and isinstance(attempt.error, THROTTLES):
            self._give_up()
            raise _GivenUp

    def _journal_failed(self, error: OSError) -> None:
        """Stop at once: rows that cannot be recorded would be asked and paid for again."""
        self._journal_error = self._journal_error or error
        self.stop(None)
        for task in self._workers:
            if task is not asyncio.current_task():
                task.cancel()

    def _end(self) -> BaseException:
        """Return what the reader gets after the last row."""
        if self._journal_error is not None:
            stopped = BatchStopped(f"the journal cannot be written: {self._journal_error}", self.progress())
            stopped.__cause__ = self._journal_error
            return stopped
        if self._failure is not None:
            return self._failure
        if self._left_open and not self._stopping:
            self._why = "its tasks were cancelled"
        if self._why is not None and (self._left_open or self._intake.is_cut):
            return BatchStopped(self._why, self.progress())
        return StopAsyncIteration()

    def _report_end(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            end = self._end()
            watch.ended(None if isinstance(end, StopAsyncIteration) or self._why == _CLOSED else end)

    # -------------------------------------------------------------------------------------------------------- workers

    def _spawn(self) -> None:
        task = asyncio.create_task(self._work(), name="row")
        self._workers[task] = None
        task.add_done_callback(self._worker_ended)

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        del self._workers[task]
        self._news.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error  # a mistake of ours, or what ends the program
            self.stop(None)

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it is a task's own code
        while not self._stopping:
            await self._room.acquire()
            entry = None
            try:
                entry = await self._take()
            finally:
                if entry is None:
                    self._room.release()
            if entry is None:
                return
            if len(self._workers) < self._concurrency:
                self._spawn()
            if (first := self._read(*entry)) is not None:
                asking = self._workers[task] = Asking(self._note_lane)
                await self._process(entry[0], *first, asking)
                self._workers[task] = None

    async def _take(self) -> tuple[int, Any] | None:
        """Return the next prompt with its index, or None at the end or where a ceiling is reached."""
        why = self._tally.reached(self._ceilings)
        if why is not None and not self._intake.is_exhausted:
            self.stop(why)
            return None
        try:
            return await self._intake.next()
        except Exception as error:
            self.stop(None, error)
            return None

    def _read(self, index: int, item: Any) -> tuple[Ask, bytes] | None:
        """Return a row with its key, or None if it has an outcome, or waits for that of an earlier row."""
        try:
            ask = read_ask(item, index)
            key = self._keys.key(ask, index)
            if ask.model is not None and self._ceilings.cost is not None:
                self._asker.check_price(ask, index)
        except RowInvalid as error:
            own = item.key if isinstance(item, Ask) else None
            name = own if isinstance(own, str) and own else f"prompts[{index}]"
            self._end_row(index, self._count(Row(index=index, key=name, error=without_frames(error))))
            return None
        known = None if self._repeats is None else self._repeats.take(key, index, ask)
        if known is None:
            return ask, key
        if isinstance(known, Row):
            self._count(known)
        if not isinstance(known, Repeat):
            self._end_row(index, known)
        return None

    async def _process(self, index: int, ask: Ask, key: bytes, asking: Asking) -> None:
        row, place = None, None
        try:
            row, place = await self._outcome(index, ask, key, asking)
        except JournalFailed as failure:
            self._journal_failed(failure.error)
        finally:
            self._tally.paid_again += asking.again
            self._end_row(index, row)
            if self._repeats is not None:
                for number, repeat in self._repeats.end(key, row, place):
                    self._end_row(number, self._count(repeat) if isinstance(repeat, Row) else repeat)

    def _end_row(self, index: int, row: Row | Recorded | None) -> None:
        """Take a row with its outcome, or None for one that stays open."""
        if row is None:
            self._left_open += 1
            self._outbox.leave_out(index)
            self._room.release()
        else:
            self._outbox.put(index, row)
            self._news.set()

    async def _outcome(
        self, index: int, ask: Ask, key: bytes, asking: Asking
    ) -> tuple[Row | Recorded | None, int | None]:
        """Return a row with its outcome and its place in the journal, or None if it stays open."""
        began, place = monotonic(), None
        if self._records is not None:
            key, offset = self._records.claim(key)
            if offset is not None:
                return Recorded(index, key, offset, ask), offset
        self._tally.asked += 1
        await self._pacer.wait_turn()
        if self._watch is not None:
            self._watch.enter(ask.key or key.hex())
        answer, failure = None, None
        try:
            answer = await self._asker.ask(ask, f"prompts[{index}]", asking)
        except Exception as error:
            failure = without_frames(error)
            if self._is_of_the_batch(failure, asking):
                return None, None
        row = Row(
            index=index,
            key=ask.key or key.hex(),
            response=None if answer is None else answer.response,
            value=None if answer is None else answer.value,
            error=failure,
            attempts=asking.requests,
            seconds=monotonic() - began,
            cost=None if answer is None else answer.cost,
            target=None if asking.attempts is None else asking.attempts.call.target,
        )
        self._judge(failure)
        # Refusals of access before the first success are no judgement of the row: the next run asks it again.
        if self._records is not None and (failure is None or not self._refusals.is_open):
            place = await self._records.write(key, ask, row, answer)
        return self._count(row, None if answer is None else answer.usage), place

    def _judge(self, failure: Exception | None) -> None:
        """Stop if all rows so far were refused for the same reason, and none is being answered."""
        is_refused = self._refusals.is_open and isinstance(failure, BedrockStreamError)
        busy = self._workers.values() if is_refused else ()
        is_one_answered = any(asking is not None and asking.is_answered for asking in busy)
        why = self._refusals.add(None if is_one_answered else failure)
        if why is not None:
            self.stop(why)

    def _is_of_the_batch(self, error: Exception, asking: Asking) -> bool:
        """Return whether a failure ends the batch and leaves the row open."""
        if isinstance(error, THROTTLES) and not asking.is_answered:
            self.stop(f"throttled, without one success for {self._patience:g} s: {error}")
        elif isinstance(error, ClientClosed):
            self.stop(str(error))
        elif not isinstance(error, _GivenUp):
            return False
        return True

    def _count(self, row: Row, usage: Usage | None = None) -> Row:
        self._tally.add(row, usage)
        if self._watch is not None:
            self._watch.row(row)
        return row

    def _reused(self, entry: Recorded) -> Row:
        assert self._records is not None  # noqa: S101 - it made the entry
        row, usage = self._records.read(entry)
        if entry.repeats:
            row, usage = repeat_of(row, entry.index, row.key), None
        if isinstance(row.response, Response):
            row = msgspec.structs.replace(row, response=self._asker.restore(entry.ask, row.response))
        return self._count(row, usage)

    def _note_lane(self, attempts: Attempts) -> None:
        """Note the lane of a call that is about to be sent."""
        if self._find_lane is not None:
            lane = self._find_lane(attempts.call.region, attempts.call.model.id)
            self._lanes.setdefault(lane, (lane.throttles, lane.pauses, lane.paused_seconds))


_closing: set[asyncio.Task[None]] = set()  # the loop refers to tasks weakly


def _close_soon(engine: Engine) -> None:
    task = asyncio.create_task(engine.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
