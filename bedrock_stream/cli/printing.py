"""Printers for `ask`: the response text goes to stdout, everything else to stderr.

stdout receives only the text, or the events as JSON. It is written unchanged to a pipe or a file, and without control
sequences to a terminal.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, TextIO

import msgspec
from rich.text import Text

from ..types.events import CitationDelta, Event, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from .meter import Meter
from .terminal import Cleaner, make_console

__all__ = ("JsonPrinter", "Printer", "SilentPrinter", "TextPrinter", "print_value")

_NORMAL_STOP_REASONS = frozenset({None, "end_turn", "stop_sequence", "tool_use"})


class Printer(Protocol):
    """Interface for the output of one response."""

    def show(self, event: Event) -> None:
        """Print the next event."""

    def summarize(self, request_id: str | None) -> None:
        """Print the summary of a complete response."""

    def close(self) -> None:
        """End the output, after a complete response or an error."""


class SilentPrinter:
    """No events; the summary on stderr if `verbose`."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._meter = Meter()

    def show(self, event: Event) -> None:
        """See `Printer`."""
        self._meter.record(event)

    def summarize(self, request_id: str | None) -> None:
        """See `Printer`."""
        if self._verbose:
            print(_summary(self._meter, request_id), file=sys.stderr)

    def close(self) -> None:
        """See `Printer`."""


class JsonPrinter(SilentPrinter):
    """Events as lines of JSON on stdout; the summary on stderr if `verbose`."""

    def __init__(self, *, verbose: bool) -> None:
        super().__init__(verbose=verbose)
        self._out = _Stdout(sys.stdout)

    def show(self, event: Event) -> None:
        """See `Printer`."""
        super().show(event)
        self._out.write(msgspec.json.encode(event).decode() + "\n")


class TextPrinter:
    """Text on stdout; reasoning, tool calls, citations and the summary as dim notes on stderr.

    The summary is printed if stderr is a terminal or if `verbose`.
    """

    def __init__(self, *, verbose: bool) -> None:
        self._out = _Stdout(sys.stdout)
        self._notes = make_console(sys.stderr)
        self._cleaner = Cleaner()
        self._in_note = False  # the last line on stderr has no line break yet
        self._shared_screen = self._out.is_terminal and self._notes.is_terminal
        self._with_summary = verbose or self._notes.is_terminal
        self._meter = Meter()

    def show(self, event: Event) -> None:
        """See `Printer`."""
        self._meter.record(event)
        match event:
            case TextDelta():
                self._end_note()
                self._out.write(event.text)
            case ReasoningDelta(text=str(text)):
                self._note(text)
            case ToolCallStart():
                self._end_note()
                self._note(f"{event.name} ")
            case ToolCallDelta():
                self._note(event.input_json)
            case ToolCallEnd():
                self._end_note()
            case CitationDelta():
                self._end_note()
                self._note(f"[{event.citation.title or event.citation.source or 'untitled source'}]\n")

    def summarize(self, request_id: str | None) -> None:
        """See `Printer`."""
        self.close()
        if self._meter.stop_reason not in _NORMAL_STOP_REASONS:
            self._note(f"the response stopped early: {self._meter.stop_reason}\n")
        if self._with_summary:
            self._note(_summary(self._meter, request_id) + "\n")

    def close(self) -> None:
        """See `Printer`."""
        self._end_note()
        if self._out.in_line:
            self._out.write("\n")

    def _note(self, text: str) -> None:
        # With both streams on one terminal, a note must not continue a line of the response.
        if self._shared_screen and self._out.in_line:
            text = "\n" + text
            self._out.in_line = False
        text = self._cleaner.feed(text)
        if text:
            self._notes.print(Text(text, style="dim"), end="", soft_wrap=True)
            self._in_note = not text.endswith("\n")

    def _end_note(self) -> None:
        if self._in_note:
            self._note("\n")


def print_value(value: Any) -> None:
    """Print a value on stdout as indented JSON."""
    _Stdout(sys.stdout).write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


class _Stdout:
    """Unbuffered stdout, without control sequences if it is a terminal."""

    def __init__(self, file: TextIO) -> None:
        self.is_terminal = file.isatty()
        self.in_line = False
        self._file = file
        self._cleaner = Cleaner() if self.is_terminal else None

    def write(self, text: str) -> None:
        if self._cleaner is not None:
            text = self._cleaner.feed(text)
        if text:
            self._file.write(text)
            self._file.flush()
            self.in_line = not text.endswith("\n")


def _summary(meter: Meter, request_id: str | None) -> str:
    return meter.summary() + (f" (request {request_id})" if request_id else "")
