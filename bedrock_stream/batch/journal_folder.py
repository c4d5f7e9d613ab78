"""A folder of journals that several processes share: each one appends to a file of its own and reads those of all.

No file has two writers, so nothing but appending is asked of the file system. A row is asked unless one of the files
has it; what others write is found by `follow`. A last line without its end is still being written, or its process died:
it does not count.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from threading import Lock
from uuid import uuid4

from ..errors import ConfigurationError
from ..types.events import Usage
from .journal import Journal, Records, damaged, slot_of
from .journal_file import READ_AT_ONCE, JournalFile, LineFile
from .records import KEY_END, Header, Recorded, read_head, read_record
from .rows import Row

__all__ = ("SUFFIX", "FolderJournal", "FolderRecords")

SUFFIX = ".jsonl"
"""How the name of each file ends."""
_OFFSET_BITS = 48
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class FolderJournal:
    """A journal in a folder, whose rows may come again. `settings.path` is the folder; it is made where it is missing.

    Raises `ConfigurationError` if the path is that of a file.
    """

    def __init__(self, settings: Journal) -> None:
        self._settings = settings
        self._records: FolderRecords | None = None
        if os.path.exists(settings.path) and not os.path.isdir(settings.path):
            problem = f"{os.fspath(settings.path)!r} is a file, expected a folder"
            raise ConfigurationError("journal", problem, "use a folder that all machines share")

    @property
    def repeats(self) -> bool:
        """See `JournalLike.repeats`."""
        return True

    def records(self, header: Header) -> FolderRecords:
        """See `JournalLike.records`."""
        self._records = FolderRecords(self._settings, header)
        return self._records

    async def follow(self) -> None:
        """Read what others have appended. Raises `JournalDamaged`, `JournalMismatch`, `OSError`."""
        if self._records is not None and self._records.is_open:
            await asyncio.get_running_loop().run_in_executor(None, self._records.follow)

    async def sync(self) -> None:
        """Have the disk store what was written. Raises `OSError`."""
        if self._records is not None and self._records.is_open:
            await asyncio.get_running_loop().run_in_executor(None, self._records.sync)


class _Followed(LineFile):
    """A file of the folder, as far as it was read."""

    __slots__ = ("count", "size")

    def __init__(self, path: str) -> None:
        super().__init__(path, os.open(path, _READ_FLAGS))
        self.size: int = 0
        """Bytes that were read."""
        self.count: int = 0
        """Lines that were read."""

    def new_lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each complete line that was not read before, with its offset."""
        if os.fstat(self._descriptor).st_size <= self.size:
            return
        with open(self.path, "rb", buffering=READ_AT_ONCE) as file:  # `read` may move our own position meanwhile
            file.seek(self.size)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.count += 1
                offset, self.size = self.size, self.size + len(line)
                yield offset, line


class FolderRecords(Records):
    """The open folder of one run. Its index has the number of a file, and the offset in it."""

    __slots__ = ("_files", "_lock", "_names")

    def __init__(self, settings: Journal, header: Header) -> None:
        super().__init__(settings, header)
        self._files: list[_Followed] = []
        self._names: set[str] = set()
        self._lock = Lock()  # of reading: two blocks may begin at once

    @property
    def is_open(self) -> bool:
        """Whether it has a file of its own."""
        return self._file is not None

    def follow(self) -> None:
        """Read what was appended to any file; blocks."""
        folder = os.fspath(self._journal.path)
        with self._lock:
            self._fetch()
            for name in sorted(os.listdir(folder)):
                if name.endswith(SUFFIX) and name not in self._names:
                    self._files.append(_Followed(os.path.join(folder, name)))
                    self._names.add(name)
            for number, file in enumerate(self._files):
                self._read_news(number, file)

    def sync(self) -> None:
        """Have the disk store what was written; blocks."""
        if self._file is not None:
            self._file.sync()

    def claim(self, key: bytes) -> tuple[bytes, int | None]:
        """See `Records.claim`. A row that comes again has the record of the first time."""
        name = key.hex()
        place = self._index.get(slot_of(name))
        if place is not None:
            file, offset = self._at(place)
            if file.read(offset, KEY_END)[-32:] == name.encode():
                return key, place
        return key, None

    def read(self, entry: Recorded) -> tuple[Row, Usage | None]:
        """See `Records.read`."""
        file, offset = self._at(entry.offset)
        return read_record(entry, file.line(offset))

    async def aclose(self) -> None:
        """See `Records.aclose`."""
        try:
            await super().aclose()
        finally:
            files, self._files = self._files, []
            for file in files:
                file.close()

    # ------------------------------------------------------------------------------------------------------- internals

    def _fetch(self) -> None:
        """Bring what others have written into the folder; nothing to do in one that all share."""

    def _open_file(self) -> JournalFile:
        folder = os.fspath(self._journal.path)
        os.makedirs(folder, exist_ok=True)
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:12]}{SUFFIX}"
        return JournalFile(os.path.join(folder, name), private=True)

    def _read_file(self, file: JournalFile) -> None:
        try:
            self.follow()
        except BaseException:  # a folder of another run stays as it was
            os.unlink(file.path)
            raise
        self._begin_file(file, is_torn=False)

    def _read_news(self, number: int, file: _Followed) -> None:
        base = number << _OFFSET_BITS
        for offset, line in file.new_lines():
            if offset == 0:
                self._check_header(file, line)
                continue
            try:
                head = read_head(line)
            except ValueError as error:
                raise damaged(file, file.count, str(error)) from None
            if head.status != "failed" or not self._journal.retry_failed:
                self._index[slot_of(head.key)] = base + offset

    def _at(self, place: int) -> tuple[_Followed, int]:
        return self._files[place >> _OFFSET_BITS], place & ((1 << _OFFSET_BITS) - 1)
