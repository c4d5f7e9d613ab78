"""The file of a journal: locked, read line by line, and appended to with one write a record.

What was written is the kernel's, so the death of the process loses nothing of it; `sync` is for the loss of power. The
lock is on the file itself and ends with the process. Beside it, a file with the suffix `.pid` names the process that
has the lock, for the error of others. A file of which no other process knows the name needs no lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

from ..errors import JournalBusy

__all__ = ("READ_AT_ONCE", "JournalFile", "LineFile")

READ_AT_ONCE = 1024 * 1024  # bytes
_LINE = 4096  # bytes; most lines are shorter
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


class LineFile:
    """An open file of lines."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str, descriptor: int) -> None:
        self.path: str = path
        self._descriptor = descriptor

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes from an offset, or fewer at the end of the file."""
        # Not by a buffered file: each write moves the position that it counts on.
        os.lseek(self._descriptor, offset, os.SEEK_SET)
        return os.read(self._descriptor, size)

    def line(self, offset: int) -> bytes:
        """Return the line that begins at an offset."""
        line = b""
        while not line.endswith(b"\n") and (data := self.read(offset + len(line), max(_LINE, len(line)))):
            line += data[: data.find(b"\n") + 1] or data
        return line

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class JournalFile(LineFile):
    """An open file that is appended to, locked unless it is `private`: no other process knows its name.

    Raises `JournalBusy` if another batch has it, and `OSError`.
    """

    __slots__ = ("_end", "_has_lock", "is_new")

    def __init__(self, path: str, *, private: bool = False) -> None:
        self.is_new: bool = not os.path.exists(path)
        """Whether the file was not there."""
        super().__init__(path, os.open(path, _FLAGS | os.O_EXCL, 0o666) if private else _open_locked(path))
        self._has_lock = not private
        self._end: int | None = None  # where the next line begins, once one was written
        if self._has_lock:
            with contextlib.suppress(OSError), open(_pid_path(path), "w", encoding="ascii") as file:
                file.write(str(os.getpid()))

    def lines(self) -> Iterator[bytes]:
        """Yield each line with its end; a torn last one has none."""
        with os.fdopen(os.dup(self._descriptor), "rb", buffering=READ_AT_ONCE) as file:
            file.seek(0)
            yield from file

    def cut(self, size: int) -> None:
        """Remove what is behind this many bytes."""
        os.ftruncate(self._descriptor, size)
        self._end = None

    def append(self, line: bytes) -> int:
        """Write a line at the end. Return its offset. Raises `OSError` if not all of it could be written."""
        written = os.write(self._descriptor, line)
        while written < len(line):  # the disk is nearly full, or a signal came; the next write says which
            written += os.write(self._descriptor, line[written:])
        self._end = (self._end or os.fstat(self._descriptor).st_size - len(line)) + len(line)
        return self._end - len(line)

    def sync(self) -> None:
        """Have the disk store what was written; blocks for as long. Raises `OSError`."""
        getattr(os, "fdatasync", os.fsync)(self._descriptor)

    def sync_folder(self) -> None:
        """Have the disk store that the file exists."""
        if sys.platform == "win32":
            return  # a folder cannot be opened there
        folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Close the file and end the lock."""
        if self._has_lock:
            with contextlib.suppress(OSError):
                os.unlink(_pid_path(self.path))
        super().close()


def _pid_path(path: str) -> str:
    return f"{path}.pid"


def _open_locked(path: str) -> int:
    while True:
        descriptor = os.open(path, _FLAGS, 0o666)
        try:
            _lock(descriptor)
            if _is_same(descriptor, path):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _BUSY:
                raise
            raise JournalBusy("journal", f"{path!r} is in use by {_owner(path)}", "wait for it, or end it") from None
        os.close(descriptor)  # its owner removed it meanwhile


def _is_same(descriptor: int, path: str) -> bool:
    """Return whether a path still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _owner(path: str) -> str:
    try:
        with open(_pid_path(path), encoding="ascii") as file:
            return f"process {int(file.read())}"
    except (OSError, ValueError):
        return "another process"


if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 1 << 40  # behind the content, since others cannot read a locked byte

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
