"""Safe output to a terminal. Text from a model or a server never acts as markup or as a control sequence.

Such text is cleaned first and passed to rich as `Text`, which rich does not interpret. rich adds the colours, and omits
them if the output is not a terminal.
"""

from __future__ import annotations

import re
from typing import TextIO

from rich.console import Console

__all__ = ("Cleaner", "clean", "make_console", "one_line", "visible")

_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # C0 except tab and newline, DEL, C1
_UNSAFE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, screen
    r"|\x1b[\]PX^_][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"  # two-byte and charset sequences
    rf"|{_CONTROL}"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c\n]*\x1b?|[ -/]*)\Z")
_MAX_PENDING = 256  # characters of an unterminated sequence; beyond that only its introducer is removed


class Cleaner:
    """Incremental filter that removes control characters and escape sequences from text."""

    def __init__(self) -> None:
        self._pending = ""  # the start of a sequence that continues in the next piece

    def feed(self, text: str) -> str:
        """Return the next piece, safe to print."""
        text = self._pending + text
        self._pending = ""
        unfinished = _UNFINISHED.search(text)
        if unfinished is not None and len(text) - unfinished.start() <= _MAX_PENDING:
            self._pending = unfinished[0]
            text = text[: unfinished.start()]
        return _UNSAFE.sub("", text)


def clean(text: str) -> str:
    """Return a complete text, safe to print."""
    return _UNSAFE.sub("", text)


def visible(text: str) -> str:
    """Return the text with unsafe characters escaped, as in `\\x1b`."""
    return re.sub(_CONTROL, lambda match: f"\\x{ord(match[0]):02x}", text)


def one_line(text: str) -> str:
    """Return the text safe to print and without line breaks."""
    return " ".join(clean(text).split())


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # Called from rich's except clause. rich would exit with 1; `run_command` must see the BrokenPipeError.
        raise


def make_console(file: TextIO) -> Console:
    """Return a console that prints text as it is, without highlighting, markup or emoji codes."""
    return _Console(file=file, highlight=False, markup=False, emoji=False)
