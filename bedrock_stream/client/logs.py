"""Log one line for each request at DEBUG, with the logger `bedrock_stream.requests`.

    us.anthropic... converse attempt 2 in us-east-1: finished, request 5c1d, first event 0.41 s, 3.02 s, 12+345 tokens

Neither prompts, responses nor credentials are logged. Unless the level is enabled, nothing is observed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import monotonic

from ..errors import ServiceError
from ..observing import Attempt, Ending, Subject
from ..types.events import Event, Metadata, Usage

__all__ = ("LogLines",)

_log = logging.getLogger("bedrock_stream.requests")


class LogLines:
    """The observer that logs the lines."""

    def watch(self, subject: Subject) -> _Line | None:
        """See `observing.Observer`."""
        return _Line(subject) if _log.isEnabledFor(logging.DEBUG) else None


class _Line:
    """See `observing.Observation`."""

    def __init__(self, subject: Subject) -> None:
        self._route = subject.route
        self._began = self._first = 0.0
        self._usage: Usage | None = None

    def began(self) -> None:
        self._began = monotonic()

    def failed(self, attempt: Attempt) -> None:
        error = attempt.error
        _log.debug(
            "%s: %s, request %s, %.2f s; again in %.2f s",
            self._name(attempt),
            _status(error),
            None if error is None else error.request_id,
            attempt.seconds,
            attempt.wait,
        )

    def first(self, attempt: Attempt) -> None:
        self._first = monotonic() - self._began

    def came(self, events: Iterable[Event]) -> None:
        for event in events:
            if type(event) is Metadata and event.usage is not None:
                self._usage = event.usage

    def ended(self, ending: Ending) -> None:
        usage = self._usage or (None if ending.response is None else ending.response.usage)
        tokens = "tokens unknown" if usage is None else f"{usage.input_tokens}+{usage.output_tokens} tokens"
        _log.debug(
            "%s: %s, request %s, first event %s, %.2f s, %s",
            self._name(ending.attempts[-1]),
            ending.way if ending.way != "failed" else _status(ending.error),
            ending.request_id,
            f"{self._first:.2f} s" if self._first else "none",
            ending.seconds,
            tokens,
        )

    def _name(self, attempt: Attempt) -> str:
        target = attempt.target
        return f"{target.model} {self._route} attempt {attempt.number} in {target.region}"


def _status(error: BaseException | None) -> str:
    if isinstance(error, ServiceError):
        return f"{error.code or type(error).__name__} {error.status}"
    return type(error).__name__
