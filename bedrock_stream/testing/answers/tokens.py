"""A simple tokenizer: a token is a word of up to 8 characters, a piece of a longer word, or a punctuation mark.

It is not a model's tokenizer, but it is stable: the same text always gives the same deltas and counts. Each token
includes the white space before it, so that joining the tokens restores the text.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ("count_input", "split")

_PIECE = re.compile(r"\s*\w{1,8}|\s*[^\w\s]|\s+")
_BYTES_PER_TOKEN = 1000  # attachments are base64 and have no words to count


def split(text: str) -> tuple[str, ...]:
    """Split a text into tokens; an empty text is one empty token."""
    return tuple(_PIECE.findall(text)) or ("",)


def count_input(body: Any) -> int:
    """Count the input tokens of a request: the tokens of every text, and one for each 1000 characters of base64."""
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
