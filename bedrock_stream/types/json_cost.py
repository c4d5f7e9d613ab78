"""The memory that a JSON document needs once it is decoded, estimated from its bytes before that is done.

Brackets cost the most: `[],` has 3 bytes and becomes 64. The figures are those of CPython with 64 bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ("check_cost_of_large",)

_POINTER = 9  # in a list, which grows by an eighth more than it needs
_LIST, _ITEMS = 56, 24  # an empty list, and what it needs for its first items
_EMPTY_DICT, _DICT = 64, 184  # the second has room for 5 keys
_KEYS_OF_DICT, _MORE_KEYS = 5, 110  # a key of its own in a large dict
_STRING, _NUMBER = 56, 32

# Without backtracking (possessive), since a document may consist of one string.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_OUTSIDE_STRINGS = re.compile(rb'[^"]*+(?:"(?:[^"\\]++|\\.)*+"[^"]*+)*+', re.DOTALL)
_NUMBERS = re.compile(rb"[\d.eE+-]{3,}+")
_SLICE = 128 * 1024  # bytes; other threads run between two slices


def check_cost_of_large(document: bytes, times: int) -> None:
    """Check that a JSON document does not need more than `times` its own size in memory. Raises `ValueError`."""
    limit = (times - 1) * len(document)  # the rest is for the content of strings
    # Nearly all documents of this size are a few long strings. Brackets inside strings are counted too.
    commas, lists, dicts = (document.count(mark) for mark in (b",", b"[", b"{"))
    if commas * (_POINTER + _MORE_KEYS) + lists * (_LIST + _ITEMS) + dicts * _DICT <= limit:
        return
    total = 0
    for part in _slices(document):
        outline = _STRINGS.sub(b'""', part).translate(None, b" \t\r\n")
        cost, numbers = _cost(outline)
        if cost + numbers * _NUMBER > (times - 1) * len(part):
            numbers = _NUMBERS.subn(b"", outline)[1]
        total += cost + numbers * _NUMBER
        if total > limit:
            raise ValueError(f"it would need more than {times} times its size in memory")


def _slices(document: bytes) -> Iterator[bytes]:
    """Yield the parts of a document, cut between its strings. An unfinished string is left out."""
    start, size = 0, _SLICE
    while start < len(document):
        part = document[start : start + size]
        end = _OUTSIDE_STRINGS.match(part).end()  # type: ignore[union-attr]  # it matches everywhere
        if end:
            yield part[:end]
            start, size = start + end, _SLICE
        elif start + size < len(document):
            size *= 2  # a string that is longer than a slice
        else:
            return


def _cost(outline: bytes) -> tuple[int, int]:
    """Return the bytes that a document without the content of its strings becomes, and how many numbers come on top.

    `true`, `false` and `null` are counted as numbers.
    """
    lists, empty_lists = outline.count(b"["), outline.count(b"[]")
    dicts, empty_dicts = outline.count(b"{"), outline.count(b"{}")
    keys = outline.count(b":")
    strings = max(0, outline.count(b'""') - keys)
    values = outline.count(b",") + (lists - empty_lists) + (dicts - empty_dicts)
    cost = (
        values * _POINTER
        + lists * _LIST
        + (lists - empty_lists) * _ITEMS
        + empty_dicts * _EMPTY_DICT
        + (dicts - empty_dicts) * _DICT
        + max(0, keys - _KEYS_OF_DICT * dicts) * _MORE_KEYS
        + strings * _STRING
    )
    return cost, max(0, values - strings - lists - dicts)
