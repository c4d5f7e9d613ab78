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
    count, waiting = 0, [body]
    while waiting:  # without recursion, since a tool's input may be nested deeply
        value = waiting.pop()
        if isinstance(value, str):
            count += len(_PIECE.findall(value))
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            for name, member in value.items():
                if name == "bytes" and isinstance(member, str):
                    count += 1 + len(member) // _BYTES_PER_TOKEN
                elif name != "cachePoint":
                    waiting.append(member)
    return count
