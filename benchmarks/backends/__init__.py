"""Web backends that stream an answer of Bedrock to a browser, one module each, named as the contender that reads it.

A module defines `responding(target)`: a context manager with one client for the target, which yields
`respond(prompt)`. That function returns the response of Starlette that streams one answer.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, cast

from ..contenders import Target

__all__ = ("PACKAGES", "Backend", "Respond", "load")

PACKAGES = ("httptools", "sse-starlette", "starlette", "uvicorn")

Respond = Callable[[str], Any]


class Backend(Protocol):
    """The interface of each module."""

    def responding(self, target: Target) -> AbstractAsyncContextManager[Respond]: ...


def load(name: str) -> Backend:
    """Import a backend by the name of its module."""
    return cast("Backend", importlib.import_module(f"{__name__}.{name}"))
