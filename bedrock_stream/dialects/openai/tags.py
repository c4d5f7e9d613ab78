"""Reasoning inside content: these models think between `<reasoning>` and `</reasoning>`.

In a stream each piece of reasoning has tags of its own, and a tag may be cut anywhere.
Source: recorded traffic.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ("TagSplitter",)


class TagSplitter:
    """Content in pieces of any cut, told apart into reasoning (True) and text (False)."""

    __slots__ = ("_held", "_inside")

    def __init__(self) -> None:
        self._held = ""
        self._inside = False

    def feed(self, text: str) -> Sequence[tuple[bool, str]]:
        """What can be told by now. Held back is only what may be the beginning of a tag."""
        if not self._held and "<" not in text:
            return ((self._inside, text),)
        text, pieces, at = self._held + text, [], 0
        while True:
            tag = "</reasoning>" if self._inside else "<reasoning>"
            found = text.find(tag, at)
            if found < 0:
                break
            pieces.append((self._inside, text[at:found]))
            self._inside = not self._inside
            at = found + len(tag)
        cut = text.rfind("<", at)  # a tag has no second "<", so only the last one can begin one
        if cut < 0 or not tag.startswith(text[cut:]):
            cut = len(text)
        pieces.append((self._inside, text[at:cut]))
        self._held = text[cut:]
        return [piece for piece in pieces if piece[1]]

    def finish(self) -> Sequence[tuple[bool, str]]:
        """What was held back: no tag came of it."""
        held, self._held = self._held, ""
        return ((self._inside, held),) if held else ()
