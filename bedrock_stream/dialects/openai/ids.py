"""Ids of tool calls that are unique in a conversation: some models count the calls of each answer from `call_0`.

Such an id is put behind the id of its answer: `resp_...:call_0`. The service takes it back in the next turn.
Source: recorded traffic.
"""

from __future__ import annotations

import re

__all__ = ("is_counter", "qualified", "unqualified")

_LONGEST = 64  # characters of an id
_SEPARATOR = ":"
_FEWEST = 16  # characters of an answer's id that still tell it from every other one
_COUNTER = re.compile(r"[A-Za-z]{0,8}[-_]?[0-9]{1,4}")


def is_counter(call_id: str) -> bool:
    """Return whether an id is a small number, with a word before it or not: the next answer has it again."""
    return _COUNTER.fullmatch(call_id) is not None


def qualified(answer_id: str | None, call_id: str) -> str:
    """Return a call's id behind its answer's, as much of the end of that as fits. A long id is unique as it is."""
    room = _LONGEST - len(_SEPARATOR) - len(call_id)
    return f"{answer_id[-room:]}{_SEPARATOR}{call_id}" if answer_id and room >= _FEWEST else call_id


def unqualified(answer_id: str, call_id: str) -> str:
    """Return the id that the answer itself has for a call, as a service that has kept the answer knows it."""
    start, separator, rest = call_id.partition(_SEPARATOR)
    is_start = start == answer_id or (len(start) >= _FEWEST and answer_id.endswith(start))
    return rest if separator and is_start else call_id
