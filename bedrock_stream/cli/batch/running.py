"""The run: lines in, rows out, and at the end the files in place."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from ...auth.threads import run_in_thread
from ...batch.asks import Ask
from ...batch.batch import Batch
from ...batch.formats import Entry, LineReader
from ...batch.journal import Journal
from ...batch.journal_file import JournalFile
from ...batch.results import Manifest
from ...client.client import Client
from ...errors import BatchStopped, ConfigurationError, JournalMismatch, MissingCredentials
from ...types.settings import RetryPolicy
from ..exit_codes import SOME_FAILED, STOPPED, print_error
from .display import Display, Watch, make_display, sentence
from .output import Output
from .settings import BatchSettings, check_paths, quota_of, read_prices, stop_of
from .source import Source
from .stopping import Stopping

__all__ = ("Rows", "batch", "make_client", "open_rows")

_ATTEMPTS = 5  # of a row, throttled ones not counted: nobody waits for its answer


class Rows:
    """The rows of IN, and those that were read and are not in OUT yet."""

    def __init__(self, source: Source, reader: LineReader) -> None:
        self._source = source
        self._reader = reader
        self._lines = source.lines()
        self._ahead: list[Entry] = []
        self.open: dict[int, Entry] = {}
        """By their index."""

    async def first_model(self) -> str:
        """Return the model of the first row. Raises `ConfigurationError` if it has none."""
        async for line in self._lines:
            self._ahead.append(entry := self._reader.read(line))
            if isinstance(entry.item, Ask) and entry.item.model is not None:
                return entry.item.model
            if self._reader.format is not None:
                break
        raise ConfigurationError("--model", "is missing, and the first row has none of its own", "pass --model")

    async def entries(self) -> AsyncIterator[Entry]:
        """Yield the rows."""
        while self._ahead:
            yield self._ahead.pop(0)
        async for line in self._lines:
            yield self._reader.read(line)

    async def items(self) -> AsyncIterator[Any]:
        """Yield what `Client.map` takes."""
        index = 0
        async for entry in self.entries():
            self.open[index] = entry
            index += 1
            yield entry.item

    @property
    def are_done(self) -> bool:
        """Whether all rows were read, and are in OUT."""
        return self._source.is_exhausted and not self.open


def make_client(settings: BatchSettings) -> Client:
    """Return a client. Raises `ConfigurationError`."""
    return Client(
        region=settings.region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        max_connections=max(256, settings.concurrency),
        retry=RetryPolicy(max_attempts=_ATTEMPTS),
        prices=read_prices(settings.prices),
        quotas=quota_of(settings),
    )


def open_rows(settings: BatchSettings, source: Source) -> Rows:
    """Return the rows of IN."""
    name = None if settings.format == "auto" else settings.format
    own_models = settings.model is None
    return Rows(source, LineReader(name, chat=_read_chat, own_models=own_models, invocation=settings.invocation))


def _read_chat(body: dict[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Read a chat completion request as the gateway does. Raises `ConfigurationError`."""
    from ...integrations.chat_requests import messages_from_openai  # other formats do not need it

    return messages_from_openai(body)


async def batch(settings: BatchSettings) -> int:
    """Ask all lines of IN and write OUT. Return the exit code.

    Raises `ConfigurationError` for what is wrong before anything is sent.
    """
    check_paths(settings)
    async with AsyncExitStack() as stack:
        source = Source(settings.source)
        stack.callback(source.close)
        rows = open_rows(settings, source)
        client = await stack.enter_async_context(make_client(settings))
        model = settings.model or await rows.first_model()
        asked = client.map(
            model,
            rows.items(),
            concurrency=settings.concurrency,
            ordered=settings.ordered,
            journal=Journal(settings.partial, retry_failed=settings.retry_failed),
            stop=stop_of(settings),
            patience=settings.patience,
            stream=settings.stream,
            dedupe=settings.dedupe,
            **settings.options,
        )
        try:
            await stack.enter_async_context(asked)
        except JournalMismatch as error:
            remedy = "pass the same options, or remove it, or name another OUT"
            raise ConfigurationError("OUT.partial", error.problem, remedy) from None
        except OSError as error:
            problem = f"cannot write {settings.partial}: {error.strerror or error}"
            raise ConfigurationError("OUT", problem, "name another file") from None
        check_paths(settings)  # another run may have ended just before this one got the journal
        display = make_display(as_json=settings.as_json)
        stack.callback(display.close)
        return await _Run(settings, source, rows, asked, display).run()


class _Run:
    """One run of a batch that has been opened."""

    def __init__(self, settings: BatchSettings, source: Source, rows: Rows, asked: Batch, display: Display) -> None:
        self._settings = settings
        self._source = source
        self._rows = rows
        self._asked = asked
        self._display = display
        self._watch = Watch(display, lambda: asked.progress)
        self._stopping = Stopping(asked, display.tell)

    async def run(self) -> int:
        """Return the exit code."""
        output, why = Output(self._settings), None
        try:
            with self._stopping.listening():
                with self._watch.running(self._source.count):
                    why = await self._write_rows(output)
                self._stopping.is_over = True
                if why is None:
                    await self._finish(output)
        except OSError as error:
            why = f"OUT cannot be written: {error.strerror or error}"
        finally:
            output.discard()
        self._display.close()
        if self._settings.as_json:
            self._display.show(self._watch.now())
        if why is not None:
            left = "the rows that are done are in " + repr(self._settings.partial)
            return print_error(f"stopped: {why}; {left}; run the same command again to go on", STOPPED)
        if not self._settings.as_json:
            self._display.tell(sentence(self._watch.now()))
        return SOME_FAILED if output.failed else 0

    async def _write_rows(self, output: Output) -> str | None:
        """Write each row as it comes. Return why rows are left, or None."""
        try:
            async for row in self._asked:
                if isinstance(row.error, MissingCredentials) and not output.rows:
                    raise row.error  # no row will have any
                output.add(self._rows.open.pop(row.index), row)
        except BatchStopped as stopped:
            return self._stopping.reason or stopped.reason
        except OSError as error:  # of IN or of OUT; what is in flight is paid for, and goes to the journal
            self._stopping.drain("a file failed")
            await self._asked.drain()
            return f"OUT cannot be written: {error.strerror}" if error.strerror else str(error)
        return None if self._rows.are_done else self._stopping.reason or "rows are left"

    async def _finish(self, output: Output) -> None:
        progress = self._watch.now()
        usage = progress.usage
        manifest = Manifest(
            total_record_count=output.rows,
            processed_record_count=output.rows,
            success_record_count=output.rows - output.failed,
            error_record_count=output.failed,
            input_token_count=usage.input_tokens or 0,
            output_token_count=usage.output_tokens or 0,
            cost=progress.cost,
            reused=progress.reused,
            paused_seconds=round(self._watch.paused_seconds, 1),
            paid_again=progress.paid_again,
        )
        with _held(self._settings.partial):
            await run_in_thread(lambda: output.finish(manifest))
        # After it is closed, as Windows requires. A run that gets it just before finds OUT, and ends.
        os.unlink(self._settings.partial)


@contextmanager
def _held(journal: str) -> Iterator[None]:
    """Keep other runs from the journal meanwhile. Raises `JournalBusy`."""
    file = JournalFile(journal)
    try:
        yield
    finally:
        file.close()
