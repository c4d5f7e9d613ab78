"""A folder of journals in a store of objects, such as S3, where nothing can be appended to.

Each actor keeps its journal in a folder of its own machine, and stores what is new of it as a part: with each block,
and every few seconds. The parts of others are copied into that folder, where they are read like any journal.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from threading import Lock
from typing import Any

import msgspec

from ...batch.journal import Journal, JournalFailed
from ...batch.journal_folder import SUFFIX, FolderJournal, FolderRecords
from ...batch.records import Header, encode_header
from .need import need

__all__ = ("PART_SECONDS", "PartsJournal")

PART_SECONDS = 5.0


class PartsJournal(FolderJournal):
    """A journal whose path is the URI of a folder, as PyArrow reads it. Its credentials are those of the node."""

    def __init__(self, settings: Journal) -> None:
        uri = os.fspath(settings.path)
        self._store, self._folder = need("pyarrow.fs").FileSystem.from_uri(uri)
        super().__init__(msgspec.structs.replace(settings, path=tempfile.mkdtemp(prefix="bedrock-stream-")))

    def records(self, header: Header) -> FolderRecords:
        """See `JournalLike.records`."""
        self._records = _PartsRecords(self._settings, header, self._store, self._folder)
        return self._records


class _PartsRecords(FolderRecords):
    """The open folder of one run; `store` is a file system of PyArrow."""

    __slots__ = ("_count", "_folder", "_name", "_sending", "_sent", "_store", "_stored")

    def __init__(self, settings: Journal, header: Header, store: Any, folder: str) -> None:
        super().__init__(settings, header)
        self._store = store
        self._folder = folder
        self._name = ""  # of its own parts
        self._stored: set[str] = set()  # parts that are here
        self._sent = 0  # bytes of its own file
        self._count = 0  # parts
        self._sending = Lock()

    def sync(self) -> None:
        """Store what was written since the last part; blocks."""
        with self._sending:
            file = self._file
            if file is None:
                return
            with open(file.path, "rb") as own:
                own.seek(self._sent)
                lines = own.read()
            lines = lines[: lines.rfind(b"\n") + 1]
            if not lines:
                return
            start = b"" if self._sent == 0 else encode_header(self._header)
            self._store.create_dir(self._folder, recursive=True)
            self._count += 1
            with self._store.open_output_stream(f"{self._folder}/{self._name}-{self._count:05d}{SUFFIX}") as part:
                part.write(start + lines)
            self._sent += len(lines)

    async def aclose(self) -> None:
        """Store the last part, and remove the folder of this machine. See `Records.aclose`."""
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.sync)
        except OSError as error:  # the folder stays: it has what was not stored
            raise JournalFailed(error) from None
        finally:
            await super().aclose()
        shutil.rmtree(self._journal.path, ignore_errors=True)

    def _fetch(self) -> None:
        """Copy the new parts of others."""
        fs = need("pyarrow.fs")
        if self._file is not None:
            self._name = os.path.basename(self._file.path).removesuffix(SUFFIX)
        for part in self._store.get_file_info(fs.FileSelector(self._folder, allow_not_found=True)):
            name = part.base_name
            if name.endswith(SUFFIX) and name not in self._stored and not name.startswith(self._name):
                self._copy(part.path, name)
                self._stored.add(name)

    def _copy(self, path: str, name: str) -> None:
        """Copy a part; it appears at once and whole, so that one that was cut off is never read."""
        target = os.path.join(os.fspath(self._journal.path), name)
        with self._store.open_input_stream(path) as part, open(f"{target}.new", "wb") as file:
            file.write(part.read())
        os.replace(f"{target}.new", target)
