"""Run one trial in its own process: `python -m benchmarks.child QUESTION SETTING` prints a `Sample` as JSON."""

from __future__ import annotations

import importlib
import sys

import msgspec

from .loops import limit_reads
from .measure import OURS, Sample, Setting


def main() -> None:
    """Run the trial that the arguments name."""
    question, argument = sys.argv[1:]
    sample = run(question, msgspec.json.decode(argument, type=Setting))
    print(msgspec.json.encode(sample).decode())


def run(question: str, setting: Setting) -> Sample:
    """Run one trial in this process, which must not have run another."""
    if setting.contender != OURS:  # ours has to limit its reads itself
        limit_reads()
    module = importlib.import_module(f"benchmarks.{question}")
    sample: Sample = module.trial(setting)
    return sample


if __name__ == "__main__":
    main()
