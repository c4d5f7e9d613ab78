"""Reasoning inside content: gpt-oss writes it between `<reasoning>` and `</reasoning>`.

In a stream each piece of reasoning has its own pair of tags, and a tag may be split anywhere.
Source: recorded traffic.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ("PlainText", "TagSplitter")


class TagSplitter:
    """Incremental parser of content: splits it into pieces of reasoning (True) and text (False)."""

    __slots__ = ("_held", "_inside")

    def __init__(self) -> None:
        self._held = ""
        self._inside = False

    def feed(self, text: str) -> Sequence[tuple[bool, str]]:
        """Return the pieces known so far. Only a possible beginning of a tag is held back."""
        if not self._held and "<" not in text:  # most pieces
            return ((self._inside, text),)
        text, pieces, start = self._held + text, [], 0
        while True:
            tag = "</reasoning>" if self._inside else "<reasoning>"
            end = text.find(tag, start)
            if end < 0:
                break
            pieces.append((self._inside, text[start:end]))
            self._inside = not self._inside
            start = end + len(tag)
        end = text.rfind("<", start)  # a tag has a single "<", so only the last one can begin a tag
        if end < 0 or not tag.startswith(text[end:]):
            end = len(text)
        pieces.append((self._inside, text[start:end]))
        self._held = text[end:]
        return [piece for piece in pieces if piece[1]]

    def finish(self) -> Sequence[tuple[bool, str]]:
        """Return the text that was held back, which did not become a tag."""
        held, self._held = self._held, ""
        return ((self._inside, held),) if held else ()


class PlainText:
    """Content of models that do not tag their reasoning: all of it is text, tags too."""

    __slots__ = ()

    def feed(self, text: str) -> Sequence[tuple[bool, str]]:
        """See `TagSplitter.feed`."""
        return ((False, text),)

    def finish(self) -> Sequence[tuple[bool, str]]:
        """See `TagSplitter.finish`. Nothing is held back."""
        return ()
