"""Faults inside the unscripted answer, at a position that a script chooses or at random, as for soak tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random

from ...errors import ConfigurationError
from ..script import unscripted
from ..service.received import ReceivedRequest
from ..steps import Step, Text, Unscripted

__all__ = ("chance", "fill")


def chance(
    probability: float, *faults: Step | Sequence[Step], seed: int = 0
) -> Callable[[ReceivedRequest], Step | Sequence[Step] | None]:
    """Return a script for all requests that plays one of `faults` with `probability`, else the unscripted answer.

    `Emulator(script=chance(0.05, http_error(429, "ThrottlingException"), cut(), reset(), seed=7))`: about five of a
    hundred requests meet one of the three faults.

    A fault that is one step is placed at a random position of the unscripted answer; a sequence of steps replaces the
    answer. The same `seed` gives the same faults at the same positions, in the order of the requests. Raises
    `ConfigurationError` if `probability` (a number from 0 to 1) is out of range or `faults` is empty.
    """
    if not 0 <= probability <= 1:
        raise ConfigurationError("probability", f"expected a number from 0 to 1, got {probability!r}")
    if not faults:
        raise ConfigurationError("faults", "expected at least one fault, as cut()")
    random = Random(seed)  # noqa: S311 - the sequence must be repeatable; nothing secret depends on it

    def draw(_request: ReceivedRequest) -> Step | Sequence[Step] | None:
        # Three draws for every request, so that another probability does not change kinds and positions.
        is_faulty, fault, position = random.random() < probability, random.choice(faults), random.random()
        if not is_faulty:
            return None
        return unscripted(fault, at=position) if isinstance(fault, Step) else fault

    return draw


def fill(steps: Iterable[Step], answer: Sequence[Step]) -> Iterator[Step]:
    """Yield the steps of a script, with each `Unscripted` replaced by the unscripted `answer` and its faults."""
    for step in steps:
        if isinstance(step, Unscripted):
            pieces = list(_split_text(answer))
            position = round(step.at * len(pieces))
            yield from (*pieces[:position], *step.faults, *pieces[position:])
        else:
            yield step


def _split_text(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the same answer with each piece of text as its own step, so that a fault can be between any two."""
    for step in steps:
        if isinstance(step, Text) and step.pieces:
            yield from (Text((piece,), step.joined or index > 0) for index, piece in enumerate(step.pieces))
        else:
            yield step
