"""Lines of a file, split from bytes that come in any pieces. Pure.

Memory is bounded by the longest line that is kept: of a longer one only its length is, so that a line of gigabytes is a
bad row like any other.
"""

from __future__ import annotations

import msgspec

__all__ = ("MAX_LINE", "Line", "Lines")

MAX_LINE = 20 * 1000 * 1000
"""Bytes of the longest line that is read; the service takes no request of more."""

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r"


class Line(msgspec.Struct, frozen=True):
    """One line that is not blank."""

    number: int
    """From 1, as editors count; blank lines are counted too."""
    data: bytes
    """Without its end; empty if it is too long."""
    length: int
    """In bytes."""


class Lines:
    """Splits bytes into lines. The byte order mark at the start and blank lines are dropped."""

    __slots__ = ("_length", "_most", "_number", "_parts")

    def __init__(self, most: int = MAX_LINE) -> None:
        self._most = most
        self._number = 0  # of lines that have ended
        self._parts: list[bytes] = []  # of the line that has not
        self._length = 0

    def feed(self, data: bytes) -> list[Line]:
        """Return the lines that end in these bytes."""
        *ends, rest = data.split(b"\n")
        lines = []
        for part in ends:
            self._add(part)
            line = self._end()
            if line is not None:
                lines.append(line)
        self._add(rest)
        return lines

    def finish(self) -> list[Line]:
        """Return the last line if it has no end."""
        line = self._end() if self._length else None
        return [] if line is None else [line]

    def _add(self, part: bytes) -> None:
        if not part:
            return
        self._length += len(part)
        if self._length <= self._most + len(_BOM):
            self._parts.append(part)
        else:
            self._parts.clear()

    def _end(self) -> Line | None:
        parts, self._parts = self._parts, []
        length, self._length = self._length, 0
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if self._number == 0 and data.startswith(_BOM):
            data, length = data[len(_BOM) :], length - len(_BOM)
        self._number += 1
        if length > self._most:
            return Line(self._number, b"", length)
        data = data.strip(_BLANK)
        return Line(self._number, data, length) if data else None
