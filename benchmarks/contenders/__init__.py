"""Streaming clients, one module each, with a common interface.

A module defines its `PACKAGE`, the `IMPORT` statement of a program that uses it, the `FORMS` of streams that it reads,
and `reading(target)`: a context manager with one client for the target, which yields `read(prompt, on_text)`. That
function streams one answer and calls `on_text` with each text as soon as it is received. A lower bound passes bytes.
Each client is used as its documentation shows.

Contenders import their packages inside functions, and this module imports almost nothing, since startup is measured.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, cast

__all__ = (
    "KEY_ID",
    "MODELS",
    "REGION",
    "SECRET",
    "Contender",
    "Read",
    "OnText",
    "Target",
    "is_installed",
    "load",
    "messages",
    "version",
)

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
MODELS = {
    "converse": "amazon.nova-lite-v1:0",
    "invoke": "anthropic.claude-3-haiku-20240307-v1:0",
    "messages": "anthropic.claude-opus-5-5",
    "chat": "openai.gpt-oss-120b",
}

OnText = Callable[[Any], object]
Read = Callable[[str, OnText], Awaitable[None]]


class Target(Protocol):
    """The server for a contender, and the options of its client."""

    @property
    def url(self) -> str: ...
    @property
    def cafile(self) -> str | None: ...
    @property
    def form(self) -> str:
        """`converse`, `invoke`, `messages` or `chat`."""

    @property
    def keep(self) -> bool:
        """True to assemble the response, for clients with such an option."""

    @property
    def streams(self) -> int:
        """The number of streams that will be open at the same time."""


class Contender(Protocol):
    """The interface of each module."""

    PACKAGE: str | None
    """The name on PyPI; None if nothing has to be installed."""
    IMPORT: str
    FORMS: tuple[str, ...]

    def reading(self, target: Target) -> AbstractAsyncContextManager[Read]: ...


def load(name: str) -> Contender:
    """Import a contender by the name of its module."""
    return cast("Contender", importlib.import_module(f"{__name__}.{name}"))


def is_installed(name: str) -> bool:
    """Return whether the package of a contender is installed."""
    package = load(name).PACKAGE
    return package is None or version(package) is not None


def version(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(package)
    except PackageNotFoundError:
        return None


def messages(prompt: str) -> list[dict[str, Any]]:
    """Return one user message in the shape of Converse."""
    return [{"role": "user", "content": [{"text": prompt}]}]
