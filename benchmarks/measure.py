"""How a question is measured: contenders in processes of their own, taking turns, whose answers must agree.

A `Lab` runs races. In each round every contender runs once, so that whatever else the machine does falls on all of
them; figures are medians over the rounds, ratios are medians of the ratios within each round. Figures of different runs
do not compare, ratios do. A contender that read another text, or another number of texts, than the first one is an
error: nobody is faster by leaving something out.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from .contenders import is_installed
from .servers import Servers

__all__ = ("FLOOR", "OURS", "Disagreement", "Lab", "Row", "Sample", "Setting")

OURS = "bedrock_stream"
FLOOR = "floor"
"""What a question calls its own lowest bound, where no client is it."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One trial: what a contender is told."""

    contender: str = OURS
    case: str = ""
    form: str = "converse"
    """`converse` or `invoke`."""
    url: str = ""
    cafile: str | None = None
    loop: str = "asyncio"
    events: int = 1
    streams: int = 1
    pace_ms: float = 0
    keep: bool = True


class Sample(msgspec.Struct, frozen=True):
    """What one trial gave: figures by unit, and what all contenders must agree on."""

    figures: dict[str, float]
    text: str = ""
    """A digest of what was read."""
    events: int = 0
    """How many texts that was."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one contender."""

    question: str
    case: str
    contender: str
    unit: str = ""
    value: float | None = None
    """A median; None where the contender is not installed."""
    ratio: float | None = None
    """How many times ours it is."""
    goal: str = ""
    """What was promised."""
    met: bool | None = None


class Disagreement(Exception):
    """Contenders read different things, so comparing what they cost would mean nothing."""


class Lab:
    """Runs trials in child processes and collects rows."""

    def __init__(self, servers: Servers, *, rounds: int, quick: bool, tell: Callable[[str], None]) -> None:
        self.servers = servers
        self.rounds = 1 if quick else rounds
        self.quick = quick
        self.rows: list[Row] = []
        self._tell = tell

    def pick(self, full: int, quick: int) -> int:
        """A size: of a measurement, or of a smoke run."""
        return quick if self.quick else full

    def trial(self, question: str, setting: Setting) -> Sample:
        """Run one contender once."""
        self._tell(f"{question}: {setting.case} {setting.contender} {setting.loop}")
        return child("benchmarks.child", question, msgspec.json.encode(setting).decode())

    def race(
        self,
        question: str,
        contenders: Sequence[str],
        setting: Setting,
        *,
        goals: Mapping[str, Mapping[str, float]] | None = None,
        most: Mapping[str, float] | None = None,
    ) -> None:
        """Race them in turns; the first is who the others are compared with.

        What was promised, by unit: `goals` are the least ratios of the others, `most` is the first one's own limit.
        """
        present = [name for name in contenders if can_run(name, setting)]
        samples: dict[str, list[Sample]] = {name: [] for name in present}
        for _ in range(self.rounds):
            for name in present:
                sample = self.trial(question, msgspec.structs.replace(setting, contender=name))
                samples[name].append(sample)
                check_agreement(name, sample, present[0], samples[present[0]][0])
        for name in contenders:
            if name not in present:
                self.rows.append(Row(question=question, case=setting.case, contender=name))
                continue
            for row in _rows(question, setting.case, name, samples[name], samples[present[0]]):
                least = (goals or {}).get(row.unit, {}).get(name)
                limit = (most or {}).get(row.unit) if name == present[0] else None
                self.note(row, least=least, most=limit)

    def note(self, row: Row, *, least: float | None = None, most: float | None = None) -> None:
        """Add a row, held against what was promised: the least ratio, or the greatest figure."""
        self.rows.append(row if self.quick else judged(row, least, most))

    def value(self, question: str, case: str, contender: str, unit: str) -> float | None:
        """A figure that was measured before."""
        key = (question, case, contender, unit)
        return next((r.value for r in self.rows if (r.question, r.case, r.contender, r.unit) == key), None)


def child(module: str, *arguments: str) -> Sample:
    """Run a module of ours in a process of its own and read the `Sample` that it prints last."""
    command = [sys.executable, "-m", module, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{ran.stderr[-3000:]}")
    return msgspec.json.decode(ran.stdout.splitlines()[-1], type=Sample)


def can_run(name: str, setting: Setting) -> bool:
    """Whether all that a trial needs is installed."""
    if setting.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        return False
    if setting.case.startswith("tls") and not setting.url:
        return False
    return name == FLOOR or is_installed(name)


def check_agreement(name: str, sample: Sample, reference: str, expected: Sample) -> None:
    """Raises `Disagreement`."""
    if (sample.text, sample.events) != (expected.text, expected.events):
        raise Disagreement(
            f"{name} read {sample.events} texts ({sample.text}), {reference} {expected.events} ({expected.text})"
        )


def judged(row: Row, least: float | None, most: float | None) -> Row:
    """A row that says whether the promise was kept."""
    if least is not None and row.ratio is not None:
        return msgspec.structs.replace(row, goal=f"x{least:.3g} or more", met=row.ratio >= least)
    if most is not None and row.value is not None:
        return msgspec.structs.replace(row, goal=f"{most:g} or less", met=row.value <= most)
    return row


def _rows(question: str, case: str, name: str, samples: Sequence[Sample], ours: Sequence[Sample]) -> Iterable[Row]:
    for unit in samples[0].figures:
        pairs = [(sample.figures[unit], own.figures[unit]) for sample, own in zip(samples, ours, strict=True)]
        compared = samples is not ours and all(own > 0 for _, own in pairs)
        yield Row(
            question=question,
            case=case,
            contender=name,
            unit=unit,
            value=statistics.median(figure for figure, _ in pairs),
            ratio=statistics.median(figure / own for figure, own in pairs) if compared else None,
        )
