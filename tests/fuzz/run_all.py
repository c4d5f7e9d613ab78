"""Run every harness: `python -m tests.fuzz.run_all --seconds 60` takes one minute in all. Exits with 1 if any failed.

`--seed N` begins each of them with input N.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from random import Random

from tests.fuzz import (
    fuzz_answers,
    fuzz_decoder,
    fuzz_headers,
    fuzz_http_errors,
    fuzz_readers,
    fuzz_sse,
    fuzz_vendor_readers,
)
from tests.fuzz.fuzzing import command

__all__ = ("HARNESSES",)

HARNESSES: dict[str, tuple[Callable[[Random], str], int]] = {
    "The decoder:": (fuzz_decoder.try_one, 2),
    "Server-sent events:": (fuzz_sse.try_one, 1),
    "Header blocks:": (fuzz_headers.try_one, 1),
    "The dialects' readers:": (fuzz_readers.try_one, 4),
    "The readers of vendors' APIs:": (fuzz_vendor_readers.try_one, 3),
    "Complete responses:": (fuzz_answers.try_one, 2),
    "HTTP errors:": (fuzz_http_errors.try_one, 1),
}
"""The title of each harness, its function for one input, and its share of the time."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Run every fuzz harness.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    shares = sum(share for _, share in HARNESSES.values())
    seed = [] if options.seed is None else ["--seed", str(options.seed)]
    failures = 0
    for about, (try_one, share) in HARNESSES.items():
        failures += command(about, try_one, ["--seconds", str(options.seconds * share / shares), *seed])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
