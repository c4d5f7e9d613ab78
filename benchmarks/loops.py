"""Event loops by name, the size of their reads, and the limit of open files."""

from __future__ import annotations

import asyncio
from asyncio import selector_events
from collections.abc import Callable
from typing import Any, cast

__all__ = ("limit_reads", "loop_factory", "raise_file_limit")


def loop_factory(name: str, *, needed: bool = True) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the factory of `asyncio` or `uvloop`. Raises `ImportError` if uvloop is needed and not installed."""
    if name == "uvloop":
        try:
            import uvloop
        except ImportError:
            if needed:
                raise
        else:
            factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
            return factory
    return asyncio.new_event_loop


def limit_reads() -> None:
    """Limit the reads of asyncio's plain connections in this process to 64 KiB.

    By default asyncio asks for 256 KiB, which malloc may map and unmap for each read, and that may cost more than
    everything else. Whether it does depends on what the process has imported and allocated before, so the costs of
    contenders with the default cannot be compared. uvloop and TLS connections have read buffers of their own.
    """
    cast("Any", selector_events)._SelectorTransport.max_size = 64 * 1024


def raise_file_limit() -> None:
    """Raise the limit of open files to its maximum, since each stream has a socket."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
