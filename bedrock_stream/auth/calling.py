"""Ask a caller's own function for keys, without blocking the loop and without telling what it said where it fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import BedrockStreamError, CredentialsUnavailable

__all__ = ("call_provider", "prepare_threads")


def prepare_threads() -> None:
    """Import now what anyio would import in its first call into a thread, which would stop the loop for that long."""
    from importlib import import_module

    from anyio import to_thread  # noqa: F401

    with suppress(ImportError):  # its own affair; without it the first call is slower, and nothing else
        import_module("anyio._backends._asyncio")


async def call_provider(source: Callable[[], Any], name: str) -> Any:
    """What a callable gives. A plain function runs in a thread, which a cancelled call leaves to itself.

    Raises `CredentialsUnavailable` for whatever it raises; `name` says in words what was called.
    """
    from anyio import to_thread

    asynchronous = inspect.iscoroutinefunction(source) or inspect.iscoroutinefunction(type(source).__call__)
    try:
        found = source() if asynchronous else await to_thread.run_sync(source, abandon_on_cancel=True)
        return await found if inspect.isawaitable(found) else found
    except BedrockStreamError:
        raise
    except Exception as error:
        # The text of a stranger's exception may hold anything, so only its type is told.
        raise CredentialsUnavailable(name, f"it raised {type(error).__name__}") from error
