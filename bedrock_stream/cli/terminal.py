"""What may reach a terminal. A model's words are data: never markup, never control sequences.

Colours are rich's business, which leaves them out where no terminal listens. What comes from outside is cleaned first
and handed to rich as `Text`, which it does not interpret.
"""

from __future__ import annotations

import re
from typing import TextIO

from rich.console import Console

__all__ = ("Cleaner", "clean", "make_console", "one_line", "visible")

_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # C0 but tab and newline, DEL, C1
_UNSAFE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, screen
    r"|\x1b[\]PX^_][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"  # the short ones
    rf"|{_CONTROL}"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c\n]*\x1b?|[ -/]*)\Z")
_LONGEST_HELD = 256  # of a sequence that does not end; what follows is shown without its beginning


class Cleaner:
    """Takes control characters and escape sequences out of text that comes in pieces."""

    def __init__(self) -> None:
        self._held = ""  # the beginning of a sequence whose end has not come

    def feed(self, text: str) -> str:
        """The next piece, safe to print."""
        text = self._held + text
        self._held = ""
        unfinished = _UNFINISHED.search(text)
        if unfinished is not None and len(text) - unfinished.start() <= _LONGEST_HELD:
            self._held = unfinished[0]
            text = text[: unfinished.start()]
        return _UNSAFE.sub("", text)


def clean(text: str) -> str:
    """A whole text, safe to print."""
    return _UNSAFE.sub("", text)


def visible(text: str) -> str:
    """The same characters with the unsafe ones written out, as `\\x1b`."""
    return re.sub(_CONTROL, lambda found: f"\\x{ord(found[0]):02x}", text)


def one_line(text: str) -> str:
    """Safe to print, and without line breaks."""
    return " ".join(clean(text).split())


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # Called while the error is handled. rich would exit with 1; all commands have one way out.
        raise


def make_console(file: TextIO) -> Console:
    """A console that changes nothing in what it is given but the colours."""
    return _Console(file=file, highlight=False, markup=False, emoji=False)
