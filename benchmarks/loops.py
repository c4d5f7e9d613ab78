"""Event loops by name, and the limit of open files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ("loop_factory", "raise_file_limit")


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


def raise_file_limit() -> None:
    """Raise the limit of open files to its maximum, since each stream has a socket."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
