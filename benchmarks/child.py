"""Run one trial in its own process: `python -m benchmarks.child QUESTION SETTING` prints a `Sample` as JSON."""

from __future__ import annotations

import importlib
import sys

import msgspec

from .measure import Sample, Setting


def main() -> None:
    """Run the trial that the arguments name."""
    question, setting = sys.argv[1:]
    module = importlib.import_module(f"benchmarks.{question}")
    sample: Sample = module.trial(msgspec.json.decode(setting, type=Setting))
    print(msgspec.json.encode(sample).decode())


if __name__ == "__main__":
    main()
