"""What a token is here: a short word, a piece of a longer one, or a mark, with the white space in front of it.

Real tokenizers are the models' own; this one is only stable, so the same text always gives the same deltas and counts.
Joining the pieces gives the text back.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ("count_input", "split")

_PIECE = re.compile(r"\s*\w{1,8}|\s*[^\w\s]|\s+")
_BYTES_PER_TOKEN = 1000  # attachments arrive as base64, whose length says nothing about words


def split(text: str) -> tuple[str, ...]:
    """Cut a text into token-sized pieces; an empty text is one empty piece."""
    return tuple(_PIECE.findall(text)) or ("",)


def count_input(body: Any) -> int:
    """The input tokens of a request: every text in it, and a small share for attached bytes. Cache points are none."""
    if isinstance(body, str):
        return len(_PIECE.findall(body))
    if isinstance(body, list):
        return sum(map(count_input, body))
    if isinstance(body, dict):
        return sum(
            1 + len(value) // _BYTES_PER_TOKEN if name == "bytes" and isinstance(value, str) else count_input(value)
            for name, value in body.items()
            if name != "cachePoint"
        )
    return 0
