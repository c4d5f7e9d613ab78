"""Silence for what others log at DEBUG while they fetch keys for us: whole answers, keys among them.

Loggers are shared by the whole process, so nobody's level is touched. A filter lets everything pass but what is logged
below INFO inside `hushed`, whatever thread or task that starts.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ("hushed",)

_inside: ContextVar[bool] = ContextVar("bedrock_stream_hushed", default=False)


class _Hush(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO or not _inside.get()


_HUSH = _Hush()


@contextmanager
def hushed(packages: Collection[str]) -> Iterator[None]:
    """Nothing below INFO is logged here by the loggers of these packages, such as there are when it begins."""
    # A logger's filters do not look at what its children log, so each of them gets this one; twice is once.
    for name in [name for name in list(logging.Logger.manager.loggerDict) if name.partition(".")[0] in packages]:
        logging.getLogger(name).addFilter(_HUSH)
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)
