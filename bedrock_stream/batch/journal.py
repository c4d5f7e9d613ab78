"""The journal of a batch: each row is on disk before it is handed out, and a run that is started again asks the rest.

What is promised:

| event | lost | in the result twice | asked (and maybe paid) twice |
|---|---|---|---|
| kill -9, exception, out of memory | nothing | never | at most the rows in flight, at most `concurrency` |
| power loss, kernel crash | nothing | never | those, and rows finished in the last `sync` seconds |
| connection broke within an answer | nothing | never | that row |
| run again after the end | nothing | never | none; rows that failed for good only with `retry_failed` |

So it is at least once towards Bedrock, and exactly once in the result. At most once cannot be had: Bedrock has no
idempotency token for inference.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

import msgspec

from ..errors import ConfigurationError, JournalDamaged, JournalMismatch
from ..types.checks import is_number
from ..types.events import Usage
from .asking import Answer
from .asks import Ask
from .journal_file import JournalFile, LineFile
from .keys import numbered
from .records import BEGINNING, KEY_END, Header, Recorded, encode_header, encode_record, read_head, read_record
from .rows import Row

__all__ = ("Journal", "JournalFailed", "JournalLike", "Records", "damaged", "read_journal", "slot_of")

_log = logging.getLogger("bedrock_stream")
_MANY = 5_000_000  # records


class Journal(msgspec.Struct, frozen=True):
    """A file that a batch writes each row to before it hands the row out, and finds it in when it is run again.

    A JSON object a line: the first one tells model and options, and each other one a row with its key. Only one batch
    at a time may have it. Raises `ConfigurationError` for invalid values. Using it raises `JournalBusy`,
    `JournalDamaged`, `JournalMismatch` and `OSError`. See `docs/guides/batch.md` for what it promises.
    """

    path: str | os.PathLike[str]
    """The file; made where it does not exist. Its folder must exist."""
    sync: float = 1.0
    """Seconds after which the disk itself has what was written (fdatasync), which only the loss of power needs. With
    0, a row is handed out once the disk has it."""
    retry_failed: bool = False
    """Whether rows that failed in an earlier run are asked again."""

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike) or not os.fspath(self.path):
            raise ConfigurationError("Journal.path", f"expected a path, got {self.path!r}")
        if not is_number(self.sync) or not 0 <= self.sync < float("inf"):
            raise ConfigurationError("Journal.sync", f"expected a non-negative number of seconds, got {self.sync!r}")
        if not isinstance(self.retry_failed, bool):
            raise ConfigurationError("Journal.retry_failed", f"expected a bool, got {self.retry_failed!r}")

    def records(self, header: Header) -> Records:
        """See `JournalLike.records`."""
        return Records(self, header)

    @property
    def repeats(self) -> bool:
        """See `JournalLike.repeats`: equal rows are told apart by their number."""
        return False


class JournalLike(Protocol):
    """What a batch needs of a journal."""

    @property
    def repeats(self) -> bool:
        """Whether a row may come again in one run, and then has the answer of the first time."""

    def records(self, header: Header) -> Records:
        """Return the journal, not yet open, of a run with this header."""


def read_journal(value: Any) -> JournalLike:
    """Return the `journal` of a batch, which may be a path. Raises `ConfigurationError`."""
    if callable(getattr(value, "records", None)):
        journal: JournalLike = value
        return journal
    return Journal(value)


class JournalFailed(Exception):
    """A record could not be written or synced. It is not an `OSError`, as broken connections of rows are."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Records:
    """The open journal of one run. Its index has, by the first 60 bits of a key, the offset of its record; once a row
    with the key was read, how many of them were, below 0.
    """

    __slots__ = ("_file", "_group", "_header", "_index", "_journal", "_on_failure", "_syncing", "_timer", "on_sync")

    def __init__(self, journal: Journal, header: Header) -> None:
        self._journal = journal
        self._header = header
        self._file: JournalFile | None = None
        self._index: dict[int, int] = {}
        self._group: list[asyncio.Future[None]] = []  # rows that wait for the next sync
        self._syncing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_failure: Callable[[OSError], None] = lambda _error: None
        self.on_sync: Callable[[float], None] | None = None
        """Called with the seconds that each sync lasted."""

    async def open(self, on_failure: Callable[[OSError], None]) -> None:
        """Lock and read the file. `on_failure` is called if a sync fails that no row waits for.

        Raises `JournalBusy`, `JournalDamaged`, `JournalMismatch`, `OSError`.
        """
        self._on_failure = on_failure
        self._file = self._open_file()
        await asyncio.get_running_loop().run_in_executor(None, self._read_file, self._file)

    def claim(self, key: bytes) -> tuple[bytes, int | None]:
        """Return the key of the next row with this key, and the offset of its record, or None without one.

        Rows that are equal have different keys: that of the second is made of its number.
        """
        index, first, number = self._index, key, 0
        while True:
            slot = slot_of(key.hex())
            found = index.get(slot)
            if found is None or found >= 0:
                index[slot] = -1
                return key, found if found is not None and self._key_at(found) == key.hex() else None
            if number == 0:
                number = -found
                index[slot] = found - 1
            else:
                number += 1
            key = numbered(first, number)

    def read(self, entry: Recorded) -> tuple[Row, Usage | None]:
        """Return a row of an earlier run, and its counts."""
        return read_record(entry, self._opened.line(entry.offset))

    async def write(self, key: bytes, ask: Ask, row: Row, answer: Answer | None) -> int:
        """Append a row. Return its offset.

        Raises `JournalFailed`, and `ConfigurationError` for a value that is not JSON.
        """
        try:
            line = encode_record(key, ask, row, answer)
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"returned what the journal cannot hold: {error}"
            raise ConfigurationError("each", problem, "return JSON values, or use no journal") from None
        try:
            offset = self._opened.append(line)
        except OSError as error:
            raise JournalFailed(error) from None
        if self._journal.sync == 0:
            await self._synced()
        elif self._timer is None and self._syncing is None:
            self._timer = asyncio.get_running_loop().call_later(self._journal.sync, self._begin_sync)
        return offset

    async def aclose(self) -> None:
        """Sync and close the file. Raises `JournalFailed`."""
        file, self._file = self._file, None
        if file is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        try:
            if self._syncing is not None:
                await asyncio.wait([self._syncing])
            began = monotonic()
            await asyncio.get_running_loop().run_in_executor(None, file.sync)
            if self.on_sync is not None:
                self.on_sync(monotonic() - began)
        except OSError as error:
            raise JournalFailed(error) from None
        finally:
            file.close()

    # --------------------------------------------------------------------------------------------------- reading

    def _open_file(self) -> JournalFile:
        return JournalFile(os.fspath(self._journal.path))

    @property
    def _opened(self) -> JournalFile:
        assert self._file is not None  # noqa: S101 - rows are asked between `open` and `aclose`
        return self._file

    def _key_at(self, offset: int) -> str:
        return self._opened.read(offset, KEY_END)[-32:].decode(errors="replace")

    def _read_file(self, file: JournalFile) -> None:
        """Read all keys, in a thread. Nothing of the file is changed before all of it was found to be readable."""
        start = file.read(0, len(BEGINNING))
        if start != BEGINNING[: len(start)]:
            raise damaged(file, 1, "it is not a journal of a batch")
        lines = file.lines()
        header = next(lines, b"")
        if not header.endswith(b"\n"):
            self._begin_file(file, is_torn=bool(header))
            return
        self._check_header(file, header)
        size, torn = self._read_records(file, lines, len(header))
        if torn:
            _log.warning("%s: the last record is torn (%d bytes) and was cut off", file.path, torn)
            file.cut(size)
        if len(self._index) > _MANY:
            _log.warning("%s has %d records: use Ray Data and Parquet for so many", file.path, len(self._index))

    def _check_header(self, file: LineFile, line: bytes) -> None:
        try:
            header = msgspec.json.decode(line, type=Header)
        except ValueError as error:
            raise damaged(file, 1, str(error)) from None
        difference = header.difference(self._header)
        if difference is not None:
            raise JournalMismatch("journal", f"{file.path!r} is of another run: {difference}", "use another file")

    def _read_records(self, file: JournalFile, lines: Any, size: int) -> tuple[int, int]:
        """Read the keys of all records. Return the size of the whole ones, and of a torn last one."""
        index, retry_failed = self._index, self._journal.retry_failed
        number = 1
        try:
            for line in lines:
                number += 1
                if line[-1] != 10:
                    return size, len(line)
                head = read_head(line)
                slot = slot_of(head.key)
                if head.status == "failed" and retry_failed:
                    index.pop(slot, None)
                else:
                    index[slot] = size
                size += len(line)
        except ValueError as error:
            raise damaged(file, number, str(error)) from None
        return size, 0

    def _begin_file(self, file: JournalFile, *, is_torn: bool) -> None:
        if is_torn:
            _log.warning("%s: its first line is torn; it is begun anew", file.path)
            file.cut(0)
        file.append(encode_header(self._header))
        if file.is_new:
            file.sync_folder()

    # --------------------------------------------------------------------------------------------------- syncing

    def _begin_sync(self) -> None:
        """Sync in a thread, for all records so far."""
        self._timer = None
        group, self._group = self._group, []
        began = monotonic()
        self._syncing = asyncio.get_running_loop().run_in_executor(None, self._opened.sync)
        self._syncing.add_done_callback(lambda syncing: self._end_sync(syncing, group, began))

    def _end_sync(self, syncing: asyncio.Future[None], group: list[asyncio.Future[None]], began: float) -> None:
        self._syncing = None
        if self.on_sync is not None:
            self.on_sync(monotonic() - began)
        error = None if syncing.cancelled() else syncing.exception()
        for waiter in group:
            if not waiter.done():
                waiter.set_result(None) if error is None else waiter.set_exception(JournalFailed(OSError(*error.args)))
        if isinstance(error, OSError) and not group:
            self._on_failure(error)
        if self._group and self._file is not None:
            self._begin_sync()

    async def _synced(self) -> None:
        """Return once a sync that began after now has ended: one for all rows that wait for it."""
        waiter = asyncio.get_running_loop().create_future()
        self._group.append(waiter)
        if self._syncing is None:
            self._begin_sync()
        await waiter


def slot_of(key: str) -> int:
    """Return the first 60 bits of a key in hex: an int of 32 bytes, where the key itself would take 64."""
    return int(key[:15], 16)


def damaged(file: LineFile, line: int, problem: str) -> JournalDamaged:
    """Return the error for a line that cannot be read."""
    error = JournalDamaged("journal", f"line {line} of {file.path!r} cannot be read: {problem}", "fix or remove it")
    error.line = line
    return error
