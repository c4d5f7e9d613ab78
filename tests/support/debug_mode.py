"""What an event loop records in debug mode, made cheap: it took more than half of the CPU time of all tests.

Of the stack of each task, future and callback only the code and the offset of its frames are kept; file and line are
looked up when somebody reads them. The original checks every source file on disk each time. A callback that is
cancelled, such as the timer of every time limit, is not described.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from asyncio import format_helpers
from asyncio.constants import DEBUG_STACK_DEPTH
from collections.abc import Iterable, Iterator
from itertools import islice
from types import CodeType, FrameType
from typing import Any

__all__ = ("record_cheaply",)


def record_cheaply() -> None:
    """Replace what asyncio and uvloop record. Tracebacks of exceptions are not made this way, and stay complete."""
    format_helpers.extract_stack = _extract_stack
    asyncio.Handle.cancel = _cancel  # type: ignore[method-assign]
    traceback.StackSummary.extract = _extract  # type: ignore[method-assign, assignment]


def _cancel(self: Any) -> None:
    if not self._cancelled:
        self._cancelled = True
        self._callback = self._args = None


class _LazyStack(traceback.StackSummary):
    """The innermost frames as pairs of code and offset, which become summaries when somebody looks at them."""

    def __iter__(self) -> Iterator[traceback.FrameSummary]:
        return map(_summary, super().__iter__())

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return list(map(_summary, found)) if isinstance(index, slice) else _summary(found)


def _summary(place: Any) -> traceback.FrameSummary:
    code: CodeType
    code, offset = place
    line = next((line for start, end, line in code.co_lines() if start <= offset < end), None)
    return traceback.FrameSummary(code.co_filename, line, code.co_name, lookup_line=False)


def _extract_stack(f: FrameType | None = None, limit: int | None = None) -> traceback.StackSummary:
    """Return the innermost frames, the outer ones first."""
    frame: FrameType | None = sys._getframe(1) if f is None else f
    places: list[Any] = []
    while frame is not None and len(places) < DEBUG_STACK_DEPTH:
        places.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    places.reverse()
    return _LazyStack(places)


def _extract(frames: Iterable[tuple[FrameType, int]], **_options: Any) -> traceback.StackSummary:
    """Do the same for uvloop and for futures, which call this."""
    return _LazyStack((frame.f_code, frame.f_lasti) for frame, _ in islice(frames, DEBUG_STACK_DEPTH))  # type: ignore[misc]
