"""Where an answer is shown: the model's words on stdout, what is said about them on stderr.

stdout carries the text alone (or the events as JSON), unchanged where it goes into a pipe or a file, cleaned where it
goes to a terminal.
"""

from __future__ import annotations

import sys
from typing import Protocol, TextIO

import msgspec
from rich.text import Text

from ..types.events import CitationDelta, Event, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from .meter import Pulse
from .terminal import Cleaner, make_console

__all__ = ("JsonPage", "Page", "TextPage")

_USUAL_ENDS = frozenset({None, "end_turn", "stop_sequence", "tool_use"})


class Page(Protocol):
    """Where an answer is shown."""

    def show(self, event: Event) -> None:
        """The next event."""

    def summarize(self, request_id: str | None) -> None:
        """The answer is whole."""

    def close(self) -> None:
        """Nothing more comes, whatever the reason."""


class JsonPage:
    """Events as lines of JSON; the summary only where it is asked for."""

    def __init__(self, *, verbose: bool) -> None:
        self._out = _Stdout(sys.stdout)
        self._verbose = verbose
        self._pulse = Pulse()

    def show(self, event: Event) -> None:
        """See `Page`."""
        self._pulse.see(event)
        self._out.write(msgspec.json.encode(event).decode() + "\n")

    def summarize(self, request_id: str | None) -> None:
        """See `Page`."""
        if self._verbose:
            print(_summary(self._pulse, request_id), file=sys.stderr)

    def close(self) -> None:
        """See `Page`."""


class TextPage:
    """The text on stdout; reasoning, tool calls, sources and the summary on stderr, dim.

    The summary comes where a terminal shows it, or where it is asked for.
    """

    def __init__(self, *, verbose: bool) -> None:
        self._out = _Stdout(sys.stdout)
        self._aside = make_console(sys.stderr)
        self._cleaner = Cleaner()
        self._in_aside = False  # the last thing on stderr is a line without its end
        self._one_screen = self._out.is_terminal and self._aside.is_terminal
        self._summary = verbose or self._aside.is_terminal
        self._pulse = Pulse()

    def show(self, event: Event) -> None:
        """See `Page`."""
        self._pulse.see(event)
        match event:
            case TextDelta():
                self._end_aside()
                self._out.write(event.text)
            case ReasoningDelta(text=str(text)):
                self._say(text)
            case ToolCallStart():
                self._end_aside()
                self._say(f"{event.name} ")
            case ToolCallDelta():
                self._say(event.input_json)
            case ToolCallEnd():
                self._end_aside()
            case CitationDelta():
                self._end_aside()
                self._say(f"[{event.citation.title or event.citation.source or 'a source without a name'}]\n")

    def summarize(self, request_id: str | None) -> None:
        """See `Page`."""
        self.close()
        if self._pulse.stop_reason not in _USUAL_ENDS:
            self._say(f"the answer stopped early: {self._pulse.stop_reason}\n")
        if self._summary:
            self._say(_summary(self._pulse, request_id) + "\n")

    def close(self) -> None:
        """See `Page`."""
        self._end_aside()
        if self._out.in_line:
            self._out.write("\n")

    def _say(self, text: str) -> None:
        if self._one_screen and self._out.in_line:
            text = "\n" + text
            self._out.in_line = False
        text = self._cleaner.feed(text)
        if text:
            self._aside.print(Text(text, style="dim"), end="", soft_wrap=True)
            self._in_aside = not text.endswith("\n")

    def _end_aside(self) -> None:
        if self._in_aside:
            self._say("\n")


class _Stdout:
    """Written as it comes; cleaned for a terminal."""

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


def _summary(pulse: Pulse, request_id: str | None) -> str:
    return pulse.sentence() + (f" (request {request_id})" if request_id else "")
