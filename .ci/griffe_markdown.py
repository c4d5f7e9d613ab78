"""Complete the Markdown of docstrings for the API reference: fences of interactive examples, and lists of arguments."""

from __future__ import annotations

import re
from typing import Any

import griffe

_LIST = re.compile(r"^(\S.*:)\n((?: {4}\S.*(?:\n|\Z))+)", re.MULTILINE)


def completed(text: str) -> str:
    """Return a docstring whose examples are no quotations, and whose indented arguments are the items of a list."""
    paragraphs = _LIST.sub(_as_list, text).split("\n\n")
    return "\n\n".join(f"```pycon\n{part}\n```" if part.startswith(">>> ") else part for part in paragraphs)


def _as_list(match: re.Match[str]) -> str:
    """Write "Head:" and the lines below it as a paragraph and a list with an item for each "`name`: ..." in front."""
    lines = [line[4:] for line in match[2].splitlines()]
    items = [f"- {line}" if re.match(r"`[\w.]+`(?:, `[\w.]+`)*:", line) else f"    {line}" for line in lines]
    # Without an item in front, the lines are no list but more of the paragraph.
    body = "\n".join(items if items[0].startswith("- ") else lines)
    return f"{match[1]}\n\n{body}\n"


class Completed(griffe.Extension):
    """The extension of griffe that `zensical.toml` names."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = completed(obj.docstring.value)
