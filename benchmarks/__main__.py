"""Run the benchmarks and print one table: see the docstring of the package."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import msgspec

import bedrock_stream

from . import __doc__ as usage
from .backends import PACKAGES
from .contenders import load, version
from .measure import Lab
from .plot import draw
from .servers import serving
from .table import lines

QUESTIONS = (
    "decode",
    "sign",
    "burst",
    "paced",
    "first_event",
    "memory",
    "startup",
    "growth",
    "sustained",
    "backend",
    "agents",
    "quota",
    "batch",
)
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "burst.svg"


def main() -> None:
    """Run the benchmarks that the arguments name."""
    arguments = _arguments()
    questions = arguments.questions or QUESTIONS
    start = time.monotonic()
    facts = _facts()
    print("\n".join(f"{name}: {fact}" for name, fact in facts.items()))
    with serving() as servers:
        report = _progress if sys.stderr.isatty() else _no_progress
        lab = Lab(servers, rounds=arguments.rounds, quick=arguments.quick, report=report)
        try:
            for question in questions:
                _ask(lab, question)
        finally:  # one that fails does not cost the figures of the others
            results = {**facts, "rows": msgspec.to_builtins(lab.rows)}
            arguments.json.write_text(json.dumps(results, indent=2), encoding="utf-8")
    print(f"\n{time.monotonic() - start:.0f} seconds, medians of {lab.rounds} rounds")
    print(f"results written to {arguments.json}")
    if arguments.plot:
        PICTURE.write_text(draw(lab.rows), encoding="utf-8")
        print(f"chart written to {PICTURE}")


def _ask(lab: Lab, question: str) -> None:
    """Ask one question, and print its figures."""
    module = importlib.import_module(f"benchmarks.{question}")
    printed = len(lab.rows)
    module.ask(lab)
    _progress("")
    title = f"{question}: {_first_paragraph(module.__doc__)}"
    print("\n".join(["", title, *lines(lab.rows[printed:])]), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=usage, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"one of {', '.join(QUESTIONS)}; default: all")
    parser.add_argument(
        "--quick", action="store_true", help="run everything once with small sizes; the figures mean nothing"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs (default: %(default)s)")
    figures = Path(tempfile.gettempdir()) / "bedrock-stream-benchmarks.json"
    parser.add_argument("--json", type=Path, default=figures, help="file for the results (default: %(default)s)")
    parser.add_argument("--plot", action="store_true", help=f"draw the chart of the documentation, {PICTURE.name}")
    arguments = parser.parse_args()
    if unknown := set(arguments.questions) - set(QUESTIONS):
        parser.error(f"unknown question: {', '.join(sorted(unknown))}; known are {', '.join(QUESTIONS)}")
    if arguments.plot and arguments.quick:
        parser.error("--plot cannot be combined with --quick: the figures of a smoke run mean nothing")
    if arguments.plot and arguments.questions and "burst" not in arguments.questions:
        arguments.questions.append("burst")
    return arguments


def _facts() -> dict[str, str]:
    """Return the machine and the versions of the contenders."""
    folder = Path(__file__).parent / "contenders"
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    packages = sorted(
        {package for name in names if (package := load(name).PACKAGE)} | {"botocore", "msgspec", "uvloop", *PACKAGES}
    )
    versions = [f"{package} {version(package) or '(missing)'}" for package in packages]
    return {
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "versions": ", ".join([f"bedrock_stream {bedrock_stream.__version__}", *versions]),
    }


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _no_progress(line: str) -> None:
    pass


if __name__ == "__main__":
    main()
