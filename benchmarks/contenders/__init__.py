"""Clients that stream, one module each, all asked in the same way.

A module names its `PACKAGE`, the `IMPORT` that a program with it begins with, the `FORMS` of stream it reads, and has
`reading(target)`: a context with one client for the target, which yields `read(prompt, take)`. That streams one answer
and hands `take` each text the moment it has it; a floor hands over bytes. Each does what its documentation shows.

What a contender needs is imported inside its functions, and this file imports next to nothing: to start is measured.
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
    "Take",
    "Target",
    "is_installed",
    "load",
    "messages",
    "version",
)

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
MODELS = {"converse": "amazon.nova-lite-v1:0", "invoke": "anthropic.claude-3-haiku-20240307-v1:0"}

Take = Callable[[Any], object]
Read = Callable[[str, Take], Awaitable[None]]


class Target(Protocol):
    """Where a contender goes, and how."""

    @property
    def url(self) -> str: ...
    @property
    def cafile(self) -> str | None: ...
    @property
    def form(self) -> str:
        """`converse` or `invoke`."""

    @property
    def keep(self) -> bool:
        """Whether the whole answer is assembled, for who leaves the choice."""

    @property
    def streams(self) -> int:
        """How many answers will be open at once."""


class Contender(Protocol):
    """What each module is."""

    PACKAGE: str | None
    """On PyPI; None where this checkout has it."""
    IMPORT: str
    FORMS: tuple[str, ...]

    def reading(self, target: Target) -> AbstractAsyncContextManager[Read]: ...


def load(name: str) -> Contender:
    """A contender by its module's name."""
    return cast("Contender", importlib.import_module(f"{__name__}.{name}"))


def is_installed(name: str) -> bool:
    """Whether a contender can be asked."""
    package = load(name).PACKAGE
    return package is None or version(package) is not None


def version(package: str) -> str | None:
    """A package's version; None where it is not installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(package)
    except PackageNotFoundError:
        return None


def messages(prompt: str) -> list[dict[str, Any]]:
    """One user's turn, as Converse spells it."""
    return [{"role": "user", "content": [{"text": prompt}]}]
