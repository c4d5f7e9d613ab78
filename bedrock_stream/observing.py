"""Observers: hooks for traces, metrics, logs and frame inspectors. A call without an observation pays nothing for them.

An observer is called once for each call, in the caller's own context, and returns an observation of it or None. The
observation receives the call's steps, from its start to its one end, however it ends. It is never awaited, and
what it raises is logged and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
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
    "BatchObservation",
    "BatchObserver",
    "BatchSubject",
    "Ending",
    "Observation",
    "Observations",
    "Observer",
    "Observers",
    "QuotaObservation",
    "Subject",
    "WireObservation",
    "batch_row",
    "observe",
    "observers",
)

_log = logging.getLogger("bedrock_stream")
_FAILED = "an observer failed at %r; the %s goes on"


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


class BatchSubject(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A batch of `Client.map`, before its first row."""

    model: str
    concurrency: int
    progress: Callable[[], Any]
    """Returns its `Progress`; may be called on any thread."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is observed: a call before anything is sent."""

    model: str
    route: str
    """The API: `converse`, `invoke`, `messages`, `chat` or `responses`."""
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
    batch: BatchSubject | None = None
    """The batch that the call is made for; None outside of one."""
    batch_key: str | None = None
    """The key of its row."""


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
    """Receives the steps of one call. It may have the methods of `WireObservation` and of
    `QuotaObservation`, too.

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
        """Take decoded frames whose events are about to be read; damaged frames are left out.

        A response in server-sent events has no frames.
        """


class QuotaObservation(Protocol):
    """Optional methods of an observation, for a call with quotas."""

    def reserved(self, tokens: int, seconds: float) -> None:
        """Take the tokens that an attempt reserved, of all its quotas, and how long it waited for them."""

    def settled(self, tokens: int) -> None:
        """Take the tokens that a reservation was settled with; may come after `ended`."""


class Observer(Protocol):
    """Decides what is observed."""

    def watch(self, subject: Subject) -> Observation | None:
        """Return an observation of this call, or None."""


class BatchObservation(Protocol):
    """Receives the steps of one batch, on its event loop. The calls of its rows are observed as any calls."""

    def row(self, outcome: str, seconds: float) -> None:
        """Take the end of a row: `ok`, `failed`, or `reused` from the journal or an equal row."""

    def synced(self, seconds: float) -> None:
        """Take how long a sync of the journal lasted."""

    def ended(self, error: BaseException | None) -> None:
        """Take the end of the batch; called exactly once. The error is what the reader of the rows gets."""


class BatchObserver(Protocol):
    """An optional method of an `Observer`."""

    def watch_batch(self, batch: BatchSubject) -> BatchObservation | None:
        """Return an observation of this batch, or None. Called at its start, in the context of its first reader."""


batch_row: ContextVar[tuple[BatchSubject, str] | None] = ContextVar("bedrock_stream_batch_row", default=None)
"""The batch and the key of the row that this task works for, if the batch has observers."""

observers: list[Observer] = []
"""Observers of every client's calls."""


def observe(observer: Observer) -> Callable[[], None]:
    """Have an observer observe the calls of every client from now on. Return a function that ends this."""
    observers.append(observer)
    return lambda: observers.remove(observer) if observer in observers else None


class Observations:
    """All observations of one call or batch, as one. What an observer raises is logged."""

    __slots__ = ("_observations",)

    _observed = "call"

    def __init__(self) -> None:
        self._observations: list[Any] = []

    def begin(self, observer: Any, method: str, subject: Any) -> None:
        """Add the observation that this method of an observer returns for a subject, if any."""
        try:
            observation = getattr(observer, method)(subject)
        except Exception:
            _log.exception(_FAILED, method, self._observed)
            return
        if observation is not None:
            self._observations.append(observation)

    def tell(self, step: str, *facts: Any) -> None:
        """Call this method of every observation."""
        for observation in self._observations:
            try:
                getattr(observation, step)(*facts)
            except Exception:
                _log.exception(_FAILED, step, self._observed)


class Observers(Observations):
    """All observations of one call, as one."""

    __slots__ = ()

    def __init__(self, own: Sequence[Observer], subject: Callable[[], Subject]) -> None:
        super().__init__()
        asked = [*own, *observers]
        if asked:
            described = subject()
            for observer in asked:
                self.add(observer, described)

    def __bool__(self) -> bool:
        return bool(self._observations)

    def add(self, observer: Observer, subject: Subject) -> None:
        """Add the observation that an observer returns for this call, if any."""
        self.begin(observer, "watch", subject)

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
                    _log.exception(_FAILED, step, self._observed)

        return report
