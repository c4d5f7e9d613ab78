"""The memory that a JSON document needs once it is decoded, estimated from its bytes before that is done.

Brackets cost the most: `[],` has 3 bytes and becomes 64. The figures are those of CPython with 64 bits.
"""

from __future__ import annotations

import re

__all__ = ("MAX_COST", "check_cost_of_large")

MAX_COST = 10
"""The most that a document may cost, in multiples of its size."""

_POINTER = 9  # in a list, which grows by an eighth more than it needs
_LIST, _ITEMS = 56, 24  # an empty list, and what it needs for its first items
_EMPTY_DICT, _DICT = 64, 184  # the second has room for 5 keys
_KEYS_OF_DICT, _MORE_KEYS = 5, 110  # a key of its own in a large dict
_STRING, _NUMBER = 56, 32

# Without backtracking (possessive), since a document may consist of one string.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NUMBERS = re.compile(rb"[\d.eE+-]{3,}+")


def check_cost_of_large(document: bytes) -> None:
    """Check that a JSON document does not need far more memory than its own size. Raises `ValueError`."""
    limit = (MAX_COST - 1) * len(document)  # the rest is for the content of strings
    # Nearly all documents of this size are a few long strings. Brackets inside strings are counted too.
    commas, lists, dicts = (document.count(mark) for mark in (b",", b"[", b"{"))
    if commas * (_POINTER + _MORE_KEYS) + lists * (_LIST + _ITEMS) + dicts * _DICT <= limit:
        return
    outline = _STRINGS.sub(b'""', document).translate(None, b" \t\r\n")
    cost, numbers = _cost(outline)
    if cost + numbers * _NUMBER > limit and cost + _NUMBERS.subn(b"", outline)[1] * _NUMBER > limit:
        raise ValueError(f"it would need more than {MAX_COST} times its size in memory")


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
