"""OUT and the files beside it. Each is written to a temporary file and renamed once it is whole and on the disk."""

from __future__ import annotations

import contextlib
import os
import sys

from ...batch.formats import Entry
from ...batch.results import Manifest, result_line
from ...batch.rows import Row
from .settings import BatchSettings

__all__ = ("Output",)

_BUFFER = 256 * 1024  # bytes


class Output:
    """The result of one run, while it grows. Every method raises `OSError`."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings
        self._result = _Growing(settings.out)
        self._failed: _Growing | None = None
        self.rows: int = 0
        """How many rows were written."""
        self.failed: int = 0
        """How many of them have an error."""

    def add(self, entry: Entry, row: Row) -> None:
        """Write a row."""
        self._result.write(result_line(entry, row, with_input=self._settings.with_input))
        self.rows += 1
        if row.error is not None:
            self.failed += 1
            if self._failed is None:
                self._failed = _Growing(self._settings.failed)
            self._failed.write(entry.line.data + b"\n" if entry.line.data else b"")

    def finish(self, manifest: Manifest) -> None:
        """Put all files in place, OUT last. Blocks until the disk has them."""
        if self._failed is not None:
            self._failed.put_in_place()
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._settings.failed)  # of an earlier run
        counters = _Growing(self._settings.manifest)
        counters.write(manifest.encode())
        counters.put_in_place()
        self._result.put_in_place()
        _sync_folder(self._settings.out)

    def discard(self) -> None:
        """Remove what is not in place. All of it is in the journal."""
        for file in (self._result, self._failed):
            if file is not None:
                file.discard()


class _Growing:
    """A file under a temporary name."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._temporary = f"{path}.tmp"
        self._file = open(self._temporary, "wb", buffering=_BUFFER)  # noqa: SIM115 - it stays open

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def put_in_place(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._temporary, self._path)

    def discard(self) -> None:
        with contextlib.suppress(OSError):  # closing writes what is in the buffer
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)


def _sync_folder(path: str) -> None:
    """Have the disk store the new names in a folder."""
    if sys.platform == "win32":
        return  # a folder cannot be opened there
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
