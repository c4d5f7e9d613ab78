"""Decides about an option that a model is known to refuse: an error, a request without it, or the service decides."""

from __future__ import annotations

import logging
from collections.abc import MutableSequence
from typing import Literal, TypeAlias

from ..errors import UnsupportedOperation

__all__ = ("MODES", "Refusals", "Unsupported")

Unsupported: TypeAlias = Literal["error", "drop", "send"]

MODES: tuple[Unsupported, ...] = ("error", "drop", "send")

_log = logging.getLogger("bedrock_stream")
_logged: set[tuple[str, str]] = set()
_MAX_LOGGED = 1024  # models that are named call by call must not pile up


class Refusals:
    """Decides about options that the table knows to be refused, and notes what was changed.

    `changes` collects a sentence for each change of the request; `Explanation.changes` shows them.
    """

    __slots__ = ("changes", "mode", "model")

    def __init__(self, model: str, mode: Unsupported = "error", changes: MutableSequence[str] | None = None) -> None:
        self.model: str = model
        self.mode: Unsupported = mode
        self.changes: MutableSequence[str] = [] if changes is None else changes

    def drops(self, option: str, problem: str, remedy: str = "omit it") -> bool:
        """Return whether an option is left out: with "drop". With "send" the service decides.

        `problem` continues the sentence "`option`: ...". Raises `UnsupportedOperation` with "error".
        """
        if self.mode == "send":
            return False
        if self.mode == "error":
            raise UnsupportedOperation(option, problem, remedy)
        self.changed(f"{option} was left out: {problem}")
        if (self.model, option) not in _logged and len(_logged) < _MAX_LOGGED:
            _logged.add((self.model, option))
            _log.warning("%s: %s was left out: %s", self.model, option, problem)
        return True

    def changed(self, sentence: str) -> None:
        """Note a change of the request."""
        if sentence not in self.changes:
            self.changes.append(sentence)
