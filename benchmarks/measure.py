"""Run contenders in turns, each in its own process, check that their results agree, and collect the figures.

In each round every contender runs once, so that other load on the machine affects all of them. Figures are medians over
the rounds, ratios are medians of the ratios within each round. Ratios can be compared between runs, figures cannot. A
contender that read another text, or another number of texts, than the first one is an error: skipping work must not
make a contender look faster. The bytes of a lower bound are decoded for this check, after the measured time. Reads of
asyncio are limited to 64 KiB for all contenders: see `loops.limit_reads`.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from .contenders import is_installed, load, version
from .servers import Servers

__all__ = ("FLOOR", "OURS", "Disagreement", "Lab", "Row", "Sample", "Setting")

OURS = "bedrock_stream"
FLOOR = "floor"
"""The name of a lower bound that is not a client."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of one trial."""

    contender: str = OURS
    case: str = ""
    form: str = "converse"
    """`converse`, `invoke`, `messages` or `chat`."""
    url: str = ""
    cafile: str | None = None
    loop: str = "asyncio"
    events: int = 1
    streams: int = 1
    pace_ms: float = 0
    keep: bool = True
    packages: tuple[str, ...] = ()
    """What every contender needs in this setting, beside its own package."""


class Sample(msgspec.Struct, frozen=True):
    """The result of one trial: figures by unit, and the values on which all contenders must agree."""

    figures: dict[str, float]
    text: str = ""
    """A digest of the texts that were read."""
    events: int = 0
    """The number of texts."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one contender."""

    question: str
    case: str
    contender: str
    unit: str = ""
    value: float | None = None
    """A median; None if the contender is not installed."""
    ratio: float | None = None
    """The figure divided by that of the first contender."""
    goal: str = ""
    """The limit that applies, in words."""
    met: bool | None = None


class Disagreement(Exception):
    """The contenders read different texts, so a comparison of their costs is meaningless."""


class Lab:
    """Runs trials in child processes and collects rows."""

    def __init__(self, servers: Servers, *, rounds: int, quick: bool, report: Callable[[str], None]) -> None:
        self.servers = servers
        self.rounds = 1 if quick else rounds
        self.quick = quick
        self.rows: list[Row] = []
        self._report = report

    def pick(self, full: int, quick: int) -> int:
        """Return the size for a measurement, or that for a smoke run."""
        return quick if self.quick else full

    def trial(self, question: str, setting: Setting) -> Sample:
        """Run one contender once."""
        self._report(f"{question}: {setting.case} {setting.contender} {setting.loop}")
        if self.quick and hasattr(os, "fork"):
            return run_forked(question, setting)
        return run_child("benchmarks.child", question, msgspec.json.encode(setting).decode())

    def race(
        self,
        question: str,
        contenders: Sequence[str],
        setting: Setting,
        *,
        goals: Mapping[str, Mapping[str, float]] | None = None,
        most: Mapping[str, float] | None = None,
    ) -> None:
        """Run the contenders in turns and compare them with the first one.

        Limits by unit: `goals` are the minimum ratios of the other contenders, `most` is the maximum of the first one.
        Where ours may cost at most x1.2 of a lower bound, the goal of the lower bound is 1 / 1.2.
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
                self.add(row, ratio=least, most=limit)

    def add(
        self, row: Row, *, ratio: float | None = None, least: float | None = None, most: float | None = None
    ) -> None:
        """Add a row and check it against its limit: the minimum ratio, or the minimum or maximum figure."""
        self.rows.append(row if self.quick else _checked(row, ratio, least, most))

    def value(self, question: str, case: str, contender: str, unit: str) -> float | None:
        """Return a figure that has been measured, or None."""
        key = (question, case, contender, unit)
        return next((r.value for r in self.rows if (r.question, r.case, r.contender, r.unit) == key), None)


def run_child(module: str, *arguments: str) -> Sample:
    """Run a module in its own process and decode the `Sample` on the last line of its output."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{process.stderr[-3000:]}")
    return msgspec.json.decode(process.stdout.splitlines()[-1], type=Sample)


def run_forked(question: str, setting: Setting) -> Sample:
    """Run a trial in a fork of this process, so that a smoke run imports each contender's package once."""
    from .child import run

    if setting.contender != FLOOR:
        exec(load(setting.contender).IMPORT, {})  # noqa: S102 - an import statement of ours
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                file.write(msgspec.json.encode(run(question, setting)))
                file.flush()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError(f"{question} failed for {setting}")
        file.seek(0)
        return msgspec.json.decode(file.read(), type=Sample)


def can_run(name: str, setting: Setting) -> bool:
    """Return whether everything that a trial needs is installed."""
    if setting.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        return False
    if setting.case.startswith("tls") and not setting.url:
        return False
    return all(map(version, setting.packages)) and (name == FLOOR or is_installed(name))


def check_agreement(name: str, sample: Sample, reference: str, expected: Sample) -> None:
    """Raise `Disagreement` if a contender read other texts than the reference."""
    if (sample.text, sample.events) != (expected.text, expected.events):
        raise Disagreement(
            f"{name} read {sample.events} texts ({sample.text}), {reference} {expected.events} ({expected.text})"
        )


def _checked(row: Row, ratio: float | None, least: float | None, most: float | None) -> Row:
    """Return the row with its limit, and whether the limit was kept."""
    if ratio is not None and row.ratio is not None:
        ours = f", ours at most x{1 / ratio:.3g}" if ratio < 1 else ""
        return msgspec.structs.replace(row, goal=f"x{ratio:.3g} or more{ours}", met=row.ratio >= ratio)
    if least is not None and row.value is not None:
        return msgspec.structs.replace(row, goal=f"{least:g} or more", met=row.value >= least)
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
