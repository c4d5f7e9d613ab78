"""IN: a file, a compressed one, or stdin, read in slices and in a thread, since a pipe or a network drive may wait."""

from __future__ import annotations

import gzip
import os
import stat
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, cast

from ...auth.threads import run_in_thread
from ...batch.lines import Line, Lines
from ...errors import ConfigurationError

__all__ = ("Source",)

_SLICE = 256 * 1024  # bytes
_GZIP = b"\x1f\x8b"


class Source:
    """The lines of IN. Raises `ConfigurationError` if it cannot be opened."""

    def __init__(self, path: str) -> None:
        self.path: str = path
        if path.endswith((".parquet", ".pq")):
            remedy = "ask(ray.data.read_parquet(...), model=...) of bedrock_stream.integrations.ray reads it"
            raise ConfigurationError("IN", f"{path}: expected JSON lines, got Parquet", remedy)
        try:
            self._file: BinaryIO | int = sys.stdin.fileno() if path == "-" else _open(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigurationError("IN", f"cannot read {path}: {reason}", "pass a file of JSON lines, or -") from None
        self.is_exhausted: bool = False
        """Whether the last line has been read."""

    async def lines(self) -> AsyncIterator[Line]:
        """Yield the lines. Raises `OSError`."""
        split, read = Lines(), partial(self._read, self._file)
        while data := await run_in_thread(read):
            for line in split.feed(data):
                yield line
        for line in split.finish():
            yield line
        self.is_exhausted = True

    async def count(self) -> int | None:
        """Return the number of lines; None for what can be read only once."""
        if self.path == "-" or not _is_regular(self.path):
            return None
        try:
            return await run_in_thread(self._count)
        except OSError:  # the reader of the lines says so
            return None

    def close(self) -> None:
        """Close the file."""
        if not isinstance(self._file, int):
            self._file.close()

    def _count(self) -> int:
        split, count = Lines(), 0
        with _open(self.path) as file:
            while data := self._read(file):
                count += len(split.feed(data))
        return count + len(split.finish())

    def _read(self, file: BinaryIO | int) -> bytes:
        with _readable(self.path):
            # Of stdin without a buffer: its lock could not be taken at exit while a thread waits for input.
            return os.read(file, _SLICE) if isinstance(file, int) else file.read(_SLICE)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise OSError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _open(path: str) -> BinaryIO:
    if _is_regular(path):
        with open(path, "rb") as file:
            start = file.read(len(_GZIP))
        if start == _GZIP:
            return cast("BinaryIO", gzip.open(path, "rb"))
    return open(path, "rb")


def _is_regular(path: str) -> bool:
    return stat.S_ISREG(os.stat(path).st_mode)
