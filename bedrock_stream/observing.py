"""Observers: hooks for traces, metrics, logs and frame inspectors. A call without an observation pays nothing for them.

An observer is called once for each call, in the caller's own context, and returns an observation of it or None. The
observation receives the call's steps, from its start to its one end, however it ends. It is never awaited, and
what it raises is logged and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from .errors import BedrockStreamError
from .eventstream import Frame
from .types.events import Event
from .types.messages import Message
from .types.options import Options
from .types.response import Response
from .types.settings import Target

__all__ = (
    "Attempt",
    "Ending",
    "Observation",
    "Observer",
    "Observers",
    "Subject",
    "WireObservation",
    "observe",
    "observers",
)

_log = logging.getLogger("bedrock_stream")
_FAILED = "an observer failed at %r; the call goes on"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a call."""

    number: int
    """From 1."""
    target: Target
    error: BedrockStreamError | None = None
    """Why it failed; None for the one that has not failed."""
    seconds: float = 0.0
    """From its start to its failure."""
    wait: float = 0.0
    """Seconds waited before the next attempt."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is observed: a call before anything is sent."""

    model: str
    route: str
    """`converse` or `invoke`."""
    operation: str
    """The API's own name of it: `converse-stream`, `invoke`, `count-tokens`, ..."""
    streaming: bool
    target: Target
    options: Options | None
    """None if the body is the caller's own."""
    messages: tuple[Message, ...]
    """The conversation as it is sent; empty if the body is the caller's own."""
    body: Callable[[], bytes]
    """Returns the request's body: JSON, with the whole prompt in it."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended."""

    way: str
    """`finished`, `failed`, `closed` by the caller, `cancelled`, or `dropped` without being closed."""
    error: BaseException | None
    attempts: tuple[Attempt, ...]
    """All attempts; the last one is the one that ended so."""
    request_id: str | None
    response: Response | None
    """The response, whole or as far as it was received; None if nothing was assembled. Without a cost by genai-prices,
    which only the caller's response has."""
    seconds: float
    """From the first attempt's start."""


class Observation(Protocol):
    """Receives the steps of one call. It may have the methods of `WireObservation`, too.

    Every method is called on the call's own event loop, except that `ended` may be called by a finalizer: on any
    thread, with any lock held by it, and perhaps after the loop was closed.
    """

    def began(self) -> None:
        """Take the start of the first attempt."""

    def failed(self, attempt: Attempt) -> None:
        """Take an attempt that failed and is followed by another one."""

    def first(self, attempt: Attempt) -> None:
        """Take the attempt, the last one, in which the first content was received."""

    def came(self, events: Iterable[Event]) -> None:
        """Take a batch of events that is about to be delivered."""

    def ended(self, ending: Ending) -> None:
        """Take the end of the call; called exactly once after `began`."""


class WireObservation(Protocol):
    """Optional methods of an observation, for those who watch bytes. A call pays only for the ones that are there.

    A retry starts again with `responded`, on a connection of its own.
    """

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the status and the headers of a usable response."""

    def received(self, data: bytes) -> None:
        """Take bytes of the body that are about to be decoded."""

    def frames(self, frames: Sequence[Frame]) -> None:
        """Take decoded frames whose events are about to be read; damaged frames are left out."""


class Observer(Protocol):
    """Decides what is observed."""

    def watch(self, subject: Subject) -> Observation | None:
        """Return an observation of this call, or None."""


observers: list[Observer] = []
"""Observers of every client's calls."""


def observe(observer: Observer) -> Callable[[], None]:
    """Have an observer observe the calls of every client from now on. Return a function that ends this."""
    observers.append(observer)
    return lambda: observers.remove(observer) if observer in observers else None


class Observers:
    """All observations of one call, as one."""

    __slots__ = ("_observations",)

    def __init__(self, own: Sequence[Observer], subject: Callable[[], Subject]) -> None:
        self._observations: list[Observation] = []
        asked = [*own, *observers]
        if asked:
            described = subject()
            for observer in asked:
                self.add(observer, described)

    def __bool__(self) -> bool:
        return bool(self._observations)

    def add(self, observer: Observer, subject: Subject) -> None:
        """Add the observation that an observer returns for this call, if any."""
        try:
            observation = observer.watch(subject)
        except Exception:
            _log.exception(_FAILED, "watch")
            return
        if observation is not None:
            self._observations.append(observation)

    def tell(self, step: str, *facts: Any) -> None:
        """Call this method of every observation."""
        for observation in self._observations:
            try:
                getattr(observation, step)(*facts)
            except Exception:
                _log.exception(_FAILED, step)

    def reporter(self, step: str) -> Callable[..., None] | None:
        """Return a function that calls this method of `WireObservation` where it is there; None if it is nowhere."""
        methods = [method for observation in self._observations if (method := getattr(observation, step, None))]
        if not methods:
            return None

        def report(*facts: Any) -> None:
            for method in methods:
                try:
                    method(*facts)
                except Exception:
                    _log.exception(_FAILED, step)

        return report
