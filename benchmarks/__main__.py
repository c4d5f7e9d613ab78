"""Ask the questions, print one table: see the package's own docstring."""

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
from .contenders import load, version
from .measure import Lab
from .plot import draw
from .servers import serving
from .table import lines

QUESTIONS = ("decode", "sign", "burst", "paced", "first_event", "memory", "startup", "growth", "sustained")
PICTURE = Path(__file__).with_name("burst.svg")


def main() -> None:
    """Ask them."""
    given = _arguments()
    questions = given.questions or QUESTIONS
    began = time.monotonic()
    facts = _facts()
    print("\n".join(f"{name}: {fact}" for name, fact in facts.items()))
    with serving() as servers:
        lab = Lab(servers, rounds=given.rounds, quick=given.quick, tell=_progress if sys.stderr.isatty() else _silence)
        for question in questions:
            module = importlib.import_module(f"benchmarks.{question}")
            told = len(lab.rows)
            module.ask(lab)
            _progress("")
            print(
                "\n".join(["", f"{question}: {_first_sentence(module.__doc__)}", *lines(lab.rows[told:])]), flush=True
            )
    print(f"\n{time.monotonic() - began:.0f} seconds, medians of {lab.rounds} rounds")
    given.json.write_text(json.dumps({**facts, "rows": msgspec.to_builtins(lab.rows)}, indent=2), encoding="utf-8")
    print(f"written to {given.json}")
    if given.plot:
        PICTURE.write_text(draw(lab.rows), encoding="utf-8")
        print(f"drawn to {PICTURE}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=usage, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(QUESTIONS)}; all of them else")
    parser.add_argument("--quick", action="store_true", help="run everything once and small; figures mean nothing")
    parser.add_argument("--rounds", type=int, default=5)
    figures = Path(tempfile.gettempdir()) / "bedrock-stream-benchmarks.json"
    parser.add_argument("--json", type=Path, default=figures, help="where the figures go (%(default)s)")
    parser.add_argument("--plot", action="store_true", help=f"draw the burst into {PICTURE.name} for the README")
    given = parser.parse_args()
    if unknown := set(given.questions) - set(QUESTIONS):
        parser.error(f"no such question: {', '.join(sorted(unknown))}; there are {', '.join(QUESTIONS)}")
    if given.plot and given.quick:
        parser.error("figures of a smoke run mean nothing: leave --quick out to draw them")
    if given.plot and given.questions and "burst" not in given.questions:
        given.questions.append("burst")
    return given


def _facts() -> dict[str, str]:
    """The machine, and the versions that were measured."""
    folder = Path(__file__).parent / "contenders"
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    packages = sorted(
        {package for name in names if (package := load(name).PACKAGE)} | {"botocore", "msgspec", "uvloop"}
    )
    versions = [f"{package} {version(package) or 'is missing'}" for package in packages]
    return {
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "versions": ", ".join([f"bedrock_stream {bedrock_stream.__version__}", *versions]),
    }


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _silence(line: str) -> None:
    pass


if __name__ == "__main__":
    main()
