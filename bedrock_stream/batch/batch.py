"""`Batch`: what `Client.map` returns. It runs while it exists; its tasks refer to its engine and not to it."""

from __future__ import annotations

import asyncio
import warnings
from functools import partial
from types import TracebackType
from typing import Any, Self

from ..client.quotas import check_quota
from ..errors import ConfigurationError
from ..request.models import describe
from ..transport.quota import QuotaLike
from ..types.checks import is_integer, is_number
from ..types.options import Options
from .asking import Arguments, Asker, Calls, Each
from .engine import Engine
from .intake import Intake
from .journal import Journal, Records, read_journal
from .keys import Keys
from .progress import Progress
from .records import header_of
from .rows import Row
from .stop import Stop
from .watching import watch

__all__ = ("Batch", "Journal", "Stop", "start_batch")  # the client imports nothing else of this layer


class Batch:
    """The rows of a batch, as they end; made by `Client.map`.

        async with client.map(model, prompts, max_tokens=500) as rows:
            async for row in rows:
                ...

    `async with` frees all connections on every way out, as do the end of the rows and dropping the batch. Reading
    raises `BatchStopped` where rows were left, and at the start `JournalBusy`, `JournalDamaged`, `JournalMismatch`.
    Cancelling a read closes the batch.
    """

    __slots__ = ("__weakref__", "_engine")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._engine.progress()

    async def drain(self) -> None:
        """Take no more prompts, and return once the rows in flight have ended. They can be read afterwards.

        A row that waits for a throttled model stays open. Reading then ends without an error.
        """
        await self._engine.drain()

    async def aclose(self) -> None:
        """Close all connections at once, the prompts if they are a generator, and the journal. Twice is fine."""
        await self._engine.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        try:
            return await self._engine.next()
        except asyncio.CancelledError:
            await self._engine.aclose()
            raise

    async def __aenter__(self) -> Self:
        await self._engine.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._engine.aclose()

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is not None and engine.abandon():
            warnings.warn("a Batch was dropped before its end: use `async with`", ResourceWarning, stacklevel=2)


def start_batch(
    calls: Calls,
    model: str,
    prompts: Any,
    options: Options,
    arguments: Arguments,
    *,
    concurrency: int,
    ordered: bool,
    journal: Any,
    quota: QuotaLike | None,
    stop: Stop | None,
    patience: float,
    each: Each | None,
    stream: bool | None,
    dedupe: bool,
) -> Batch:
    """Return a batch; `options` are the validated ones of `arguments`. Raises `ConfigurationError`."""
    describe(model)
    _check(concurrency, patience, stop, each, stream, quota)
    if not isinstance(dedupe, bool):
        raise ConfigurationError("dedupe", f"expected a bool, got {dedupe!r}")

    keys, records = _identity(model, arguments, journal, each=each is not None, dedupe=dedupe)
    engine = Engine(
        Intake(prompts),
        keys,
        partial(Asker, calls, model, options, arguments, patience=patience, each=each, streaming=stream, quota=quota),
        concurrency=concurrency,
        ordered=ordered,
        stop=stop or Stop(),
        patience=patience,
        records=records,
        dedupe=dedupe,
        watch=lambda progress: watch(calls.state.settings.observers, model, concurrency, progress),
    )
    return Batch(engine)


def _check(concurrency: Any, patience: Any, stop: Any, each: Any, stream: Any, quota: Any) -> None:
    """Raise `ConfigurationError` for an argument that cannot be used."""
    if not is_integer(concurrency) or concurrency < 1:
        raise ConfigurationError("concurrency", f"expected a positive int, got {concurrency!r}")
    if not is_number(patience) or not 0 < patience < float("inf"):
        raise ConfigurationError("patience", f"expected a positive number of seconds, got {patience!r}")
    if stop is not None and not isinstance(stop, Stop):
        raise ConfigurationError("stop", f"expected a Stop, got {type(stop).__name__}")
    if each is not None and not callable(each):
        raise ConfigurationError("each", f"expected an async function, got {type(each).__name__}")
    if each is not None and stream is False:
        raise ConfigurationError("stream", "cannot be False with each, which is passed streams", "leave it out")
    if quota is not None:
        check_quota("quota", quota)


def _identity(
    model: str, arguments: Arguments, journal: Any, *, each: bool, dedupe: bool
) -> tuple[Keys, Records | None]:
    """Return what makes the keys of the rows, and the journal, not yet open. Raises `ConfigurationError`."""
    kept = None if journal is None else read_journal(journal)
    try:
        keys = Keys(model, arguments.options, repeats=kept is not None and kept.repeats, dedupe=dedupe)
        header = header_of(model, arguments.options, each=each, dedupe=dedupe)
    except ValueError as error:
        problem = str(error)
    else:
        return keys, None if kept is None else kept.records(header)
    raise ConfigurationError("options", f"cannot be part of a row's key: {problem}", "use JSON values and types")
