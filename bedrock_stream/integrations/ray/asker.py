"""The actor that asks rows: one client and one batch for all of its blocks.

The batch runs on an event loop in a thread of its own, since that of Ray is blocked whenever Ray waits for input or for
its consumer. Rows of all blocks share the batch's window, and a block is handed out once its own rows have ended, so no
block waits for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from threading import Thread
from typing import Any, Unpack

from ...batch.journal import Journal
from ...batch.journal_folder import FolderJournal
from ...batch.rows import Row
from ...client.client import Client
from ...errors import BatchStopped, ConfigurationError, RowInvalid
from ...observing import observe
from ...transport.quota import QuotaLike
from ...types.options import CallOptions
from .columns import Asked, add_columns, read_asks
from .job import Job, is_uri, read_folder, refuse_credentials
from .metrics import RayMetrics
from .need import need
from .parts import PART_SECONDS, PartsJournal

__all__ = ("Asker",)

_CLOSE_SECONDS = 3.0

_Source = str | Callable[[dict[str, Any]], Any]


class Asker:
    """Asks the rows of blocks, for `Dataset.map_batches` with `batch_format="pyarrow"`; `ask` calls that.

    - `prompt`: a column, or a function of the row (a dict) that returns what `Client.generate` takes, or an `Ask`.
      Or `body`: the same for JSON in the model's own format; with `converse`, in that of Converse.
    - `key`: a column that names the rows in the journal; without it, rows that ask the same are one row there.
    - `concurrency`: rows in flight of this actor at most; how many is learned, as in `Client.map`.
    - `journal`: a folder that all machines share, or `Journal(folder, ...)`; also the URI of one, such as `s3://`.
    - `quota`: a `RayQuota`, or another picklable object with `reserve`. `patience`: as in `Client.map`.
    - `response="json"`: add a column with the whole response.
    - `client`: a function that makes the client, called once in each actor; without it, `Client()`.
    - `options`: those of the call, without credentials.

    Raises `ConfigurationError`. A block raises `BatchStopped` if the batch ends, and what a journal raises.
    """

    def __init__(
        self,
        model: str,
        *,
        prompt: _Source | None = None,
        body: _Source | None = None,
        converse: bool = False,
        key: str | None = None,
        concurrency: int = 256,
        journal: Journal | str | os.PathLike[str] | None = None,
        quota: QuotaLike | None = None,
        patience: float = 3600.0,
        response: str | None = None,
        client: Callable[[], Client] | None = None,
        **options: Unpack[CallOptions],
    ) -> None:
        refuse_credentials(options)  # type: ignore[arg-type]
        need("pyarrow")
        self._job = Job(
            model=model,
            prompt=prompt,
            body=body,
            converse=converse,
            key=key,
            concurrency=concurrency,
            journal=journal,
            quota=quota,
            patience=patience,
            response=response,
            client=client,
            options={**options},
        )
        self._rows: _Rows | None = None  # begun with the first block, so that an unused actor costs nothing

    async def __call__(self, batch: Any) -> AsyncIterator[Any]:
        """Yield a block (an Arrow table) with the columns of its answers, once all of its rows have ended."""
        asks = read_asks(self._job, batch)
        if self._rows is None:
            self._rows = _Rows(self._job)
        rows = await asyncio.wrap_future(self._rows.submit(asks))
        yield add_columns(self._job, batch, rows)

    def __del__(self) -> None:
        """Close connections and journal; Ray drops an actor's object when it ends the actor."""
        rows = getattr(self, "_rows", None)
        if rows is not None:
            rows.close()


class _Rows:
    """The batch of one actor. Its prompts are a queue, which the blocks fill."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._client: Client | None = None
        self._journal = _open_journal(job.journal)
        self._queue: deque[tuple[Asked, asyncio.Future[Row]]] = deque()
        self._waiting: dict[int, asyncio.Future[Row]] = {}  # by their index in the batch
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._storing: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._unobserve = observe(RayMetrics(quotas=job.quota is not None or job.client is not None))
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="bedrock-stream", daemon=True)
        self._thread.start()

    def submit(self, asks: list[Asked]) -> Any:
        """Return a `concurrent.futures.Future` of the rows, in the order of `asks`; called from any thread."""
        return asyncio.run_coroutine_threadsafe(self._ask(asks), self._loop)

    def close(self) -> None:
        """End the batch and the thread; waits for some seconds."""
        closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        with contextlib.suppress(Exception):  # the process is about to end
            closing.result(_CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)
        if closing.done() and not self._thread.is_alive():
            self._loop.close()

    async def _close(self) -> None:
        tasks = [task for task in (self._reader, self._storing) if task is not None and task.cancel()]
        if tasks:
            await asyncio.wait(tasks)
        self._unobserve()
        if self._client is not None:
            await self._client.aclose()

    async def _ask(self, asks: list[Asked]) -> list[Row]:
        if self._journal is not None:
            await self._journal.follow()  # a block that comes here may come from an actor that died
        if self._failure is not None:  # what ended the batch, such as a wrong key, is not asked anew for each block
            raise self._failure
        futures = []
        for ask in asks:
            future: asyncio.Future[Row] = self._loop.create_future()
            futures.append(future)
            if isinstance(ask, RowInvalid):
                future.set_result(Row(index=-1, key="", error=ask))
            else:
                self._queue.append((ask, future))
        if self._reader is None and self._queue:
            self._reader = asyncio.create_task(self._read())
            if isinstance(self._journal, PartsJournal):
                self._storing = asyncio.create_task(self._store_parts(self._journal))
        self._news.set()
        rows = await _all(futures)
        if self._journal is not None:
            await self._journal.sync()
        return rows

    async def _read(self) -> None:
        """Run the batch, and hand each row to the block that waits for it."""
        try:
            async with self._batch() as rows:
                async for row in rows:
                    self._waiting.pop(row.index).set_result(row)
            self._failure = BatchStopped("its rows have ended", rows.progress)
        except Exception as error:
            self._failure = error
        for future in (*self._waiting.values(), *(future for _, future in self._queue)):
            future.set_exception(self._failure)

    def _batch(self) -> Any:
        job = self._job
        if self._client is None:
            self._client = self._make_client()
        return self._client.map(
            job.model,
            self._feed(),
            concurrency=job.concurrency,
            journal=self._journal,  # type: ignore[arg-type]
            patience=job.patience,
            **job.options,
        )

    def _make_client(self) -> Client:
        job = self._job
        if job.client is None:
            quotas = None if job.quota is None else {"": job.quota}
            return Client(max_connections=job.concurrency, quotas=quotas)
        client = job.client()
        if not isinstance(client, Client):
            raise ConfigurationError("client", f"expected it to return a Client, got {type(client).__name__}")
        return client

    async def _store_parts(self, journal: PartsJournal) -> None:
        """Store parts from time to time. What fails is raised with the next block, which stores one as well."""
        while self._failure is None:
            await asyncio.sleep(PART_SECONDS)
            with contextlib.suppress(OSError):
                await journal.sync()

    async def _feed(self) -> AsyncIterator[Any]:
        index = 0
        while True:
            while not self._queue:
                self._news.clear()
                await self._news.wait()
            ask, self._waiting[index] = self._queue.popleft()
            yield ask
            index += 1


def _open_journal(journal: Journal | str | os.PathLike[str] | None) -> FolderJournal | None:
    """Return the journal of a job, for one actor."""
    if journal is None:
        return None
    settings = read_folder(journal)
    return PartsJournal(settings) if is_uri(settings.path) else FolderJournal(settings)


async def _all(futures: list[asyncio.Future[Row]]) -> list[Row]:
    """Return the results. Raises the first error; the others are retrieved."""
    if futures:
        await asyncio.wait(futures)
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]
    return [future.result() for future in futures]
