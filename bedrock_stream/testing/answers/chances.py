"""Faults in the emulator's own answer: where a script puts them, or by chance, for soaks."""

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
    """A script for all requests: one of the faults, with this probability, and else the emulator's own answer.

    `Emulator(script=chance(0.05, http_error(429, "ThrottlingException"), cut(), reset(), seed=7))`: of a hundred
    requests some five meet one of the three. A step happens somewhere in the emulator's own answer; several are a whole
    answer. The same seed gives the same faults at the same places, in the order in which the requests come.
    """
    if not 0 <= probability <= 1:
        raise ConfigurationError("probability", f"{probability!r} is none", "give a number from 0 to 1")
    if not faults:
        raise ConfigurationError("faults", "there are none to choose from", "name some, as cut()")
    dice = Random(seed)  # noqa: S311 - what has to repeat cannot be secret

    def throw(_request: ReceivedRequest) -> Step | Sequence[Step] | None:
        # Three throws whatever comes of them, so that another probability leaves kinds and places as they are.
        meets, fault, place = dice.random() < probability, dice.choice(faults), dice.random()
        if not meets:
            return None
        return unscripted(fault, at=place) if isinstance(fault, Step) else fault

    return throw


def fill(steps: Iterable[Step], own: Sequence[Step]) -> Iterator[Step]:
    """The steps of a script, the emulator's own where it says `unscripted`."""
    for step in steps:
        if isinstance(step, Unscripted):
            said = list(_pieces(own))
            place = round(step.at * len(said))
            yield from (*said[:place], *step.faults, *said[place:])
        else:
            yield step


def _pieces(steps: Iterable[Step]) -> Iterator[Step]:
    """The same answer with each piece of text as a step, since a fault may stand between any two."""
    for step in steps:
        if isinstance(step, Text) and step.pieces:
            yield from (Text((piece,), step.joined or place > 0) for place, piece in enumerate(step.pieces))
        else:
            yield step
