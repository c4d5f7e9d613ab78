"""Who looks on while calls go their way: traces, metrics, log lines. A call that nobody looks at pays for none of it.

An observer is asked once for each call, in the caller's own context, and gives an observation of it or None. That hears
of the call's steps, from its beginning to its one end, whatever the way out. It is never waited for, and what it raises
is logged and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from .errors import BedrockStreamError
from .types.events import Event
from .types.messages import Message
from .types.options import Options
from .types.response import Response
from .types.settings import Target

__all__ = ("Attempt", "Ending", "Observation", "Observer", "Observers", "Subject", "observe", "observers")

_log = logging.getLogger("bedrock_stream")


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a call."""

    number: int
    """From 1."""
    target: Target
    error: BedrockStreamError | None = None
    """Why it failed; None for the one that did not, or has not yet."""
    seconds: float = 0.0
    """From its beginning to its failure."""
    wait: float = 0.0
    """Seconds waited behind it."""


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
    """None where the body is the caller's own."""
    messages: tuple[Message, ...]
    """The conversation as it is sent; empty where the body is the caller's own."""
    body: Callable[[], bytes]
    """Gives the request's body: JSON, with all that the caller said."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended."""

    way: str
    """`finished`, `failed`, `closed` by the caller, `cancelled`, or `dropped` without being closed."""
    error: BaseException | None
    attempts: tuple[Attempt, ...]
    """All of them; the last one is the one that ended so."""
    request_id: str | None
    response: Response | None
    """The answer, whole or as far as it came; None where nothing was assembled."""
    seconds: float
    """From the first attempt's beginning."""


class Observation(Protocol):
    """Looks at one call. Every method is called on the call's own event loop, but `ended` perhaps by a finaliser.

    That runs on any thread, with any lock held by it, and the loop may be closed by then.
    """

    def began(self) -> None:
        """The first attempt begins."""

    def failed(self, attempt: Attempt) -> None:
        """An attempt failed, and another one follows."""

    def first(self, attempt: Attempt) -> None:
        """The first content is here, of this attempt, the last one."""

    def came(self, events: Iterable[Event]) -> None:
        """A batch of events is about to be handed out."""

    def ended(self, ending: Ending) -> None:
        """It is over; called exactly once after `began`."""


class Observer(Protocol):
    """Decides what is observed."""

    def watch(self, subject: Subject) -> Observation | None:
        """An observation of this call, None for none."""


observers: list[Observer] = []
"""Those that look at every client's calls."""


def observe(observer: Observer) -> Callable[[], None]:
    """Have an observer look at the calls of every client from now on. Returns what ends that."""
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
                observation = self._ask(observer, described)
                if observation is not None:
                    self._observations.append(observation)

    def __bool__(self) -> bool:
        return bool(self._observations)

    def tell(self, step: str, *facts: Any) -> None:
        """Call that method of every observation."""
        for observation in self._observations:
            try:
                getattr(observation, step)(*facts)
            except Exception:
                _log.exception("an observer failed at %r; the call goes on", step)

    def _ask(self, observer: Observer, subject: Subject) -> Observation | None:
        try:
            return observer.watch(subject)
        except Exception:
            _log.exception("an observer failed at 'watch'; the call goes on")
            return None
