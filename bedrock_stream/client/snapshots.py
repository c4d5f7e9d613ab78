"""Makes snapshots of a structured answer while it grows, from its events. Needs jiter, for JSON that is incomplete.

The work is linear in the answer: each snapshot parses the answer from its start, and is made once the answer has grown
by a 64th since the one before. So at most 65 times the answer's bytes are parsed, however many events it came in.
"""

from __future__ import annotations

from typing import Any, Generic

import msgspec

from ..errors import ConfigurationError
from ..request.output_schema import TOOL_NAME, OutputSchema
from ..types.events import Event, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from ..types.response import Parsed, Response

__all__ = ("Snapshot", "SnapshotMaker")

_PARTS = 64  # a snapshot is made when the answer has grown by one of so many parts


class Snapshot(msgspec.Struct, Generic[Parsed], frozen=True, kw_only=True):
    """A structured answer, as far as it was received."""

    value: Any
    """The JSON so far: members that have not begun are absent, the last text and the last list may still grow, and a
    number is there once it is whole."""
    parsed: Parsed | None = None
    """The value as the type of `output_schema`, once it fits: nothing that the type requires is missing. Without a
    type, the same as `value`."""
    complete: bool = False
    """Whether this is the last snapshot of an answer that is whole and fits; `parsed` is that of the response then."""


class SnapshotMaker(Generic[Parsed]):
    """Collects the answer from a stream's events. Raises `ConfigurationError` if jiter is not installed."""

    __slots__ = ("_block", "_input", "_parse", "_parsed", "_text", "_value")

    def __init__(self) -> None:
        try:
            import jiter
        except ImportError as error:
            remedy = 'pip install "bedrock-stream[structured]"'
            raise ConfigurationError("parsed_stream", "jiter is not installed", remedy) from error
        self._parse = jiter.from_json
        self._text = bytearray()
        self._parsed = 0  # the length of the text when it was last parsed
        self._value: Any = None  # of the last snapshot
        self._block: int | None = None  # of the synthetic tool's call
        self._input: Any = None  # of that call, once it has ended

    def take(self, event: Event, output: OutputSchema) -> Snapshot[Parsed] | None:
        """Take the next event. Return a snapshot if the answer has changed by it, and has grown enough."""
        if isinstance(event, TextDelta):
            return self._grow(event.text, output) if output.native and self._block is None else None
        if isinstance(event, ToolCallDelta):
            return self._grow(event.input_json, output) if event.index == self._block else None
        if isinstance(event, ToolCallStart):
            if event.name == TOOL_NAME and self._block is None:
                self._block, self._parsed = event.index, 0
                self._text.clear()
        elif isinstance(event, ToolCallEnd) and event.index == self._block:
            self._input = event.input
        return None

    def last(self, response: Response) -> Snapshot[Parsed]:
        """Return the last snapshot, of the finished response."""
        value = self._input
        if value is None:
            data = bytes(self._text) or response.text.encode(errors="replace")
            try:
                value = msgspec.json.decode(data)
            except ValueError:
                value = self._incomplete(data)
        return Snapshot(value=value, parsed=response.parsed, complete=response.parse_error is None)

    def _grow(self, fragment: str, output: OutputSchema) -> Snapshot[Parsed] | None:
        text = self._text
        text += fragment.encode(errors="replace")
        if (len(text) - self._parsed) * _PARTS < self._parsed:
            return None
        self._parsed = len(text)
        value = self._incomplete(bytes(text))
        if value is None or value == self._value:
            return None
        self._value = value
        return Snapshot(value=value, parsed=_fitted(value, output))

    def _incomplete(self, data: bytes) -> Any:
        """Return the value of JSON that may be cut off; the one before if it has none yet."""
        try:
            value = self._parse(data, partial_mode="trailing-strings", allow_inf_nan=False)
        except ValueError:
            return self._value
        # A number or a text at the top may be the beginning of words that are not JSON at all.
        if not isinstance(value, dict | list):
            return self._value
        if data[-1:].isdigit():
            _drop_last_number(value)
        return value


def _drop_last_number(value: Any) -> None:
    """Remove the number that a document ends with, unless it ends in a string: more digits may follow."""
    while isinstance(value, dict | list) and value:
        last = next(reversed(value)) if isinstance(value, dict) else -1
        if isinstance(value[last], int | float) and not isinstance(value[last], bool):
            del value[last]
            return
        value = value[last]


def _fitted(value: Any, output: OutputSchema) -> Any:
    try:
        return output.convert(value)
    except Exception:  # also what a validator of the type raises, which may not expect an incomplete value
        return None
